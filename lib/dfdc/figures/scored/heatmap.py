"""Which regions of a face spoke for fake, as one model saw them."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from dfdc.networks.efficientnet import Classifier
from dfdc.networks.families import build_model
from dfdc.networks.inputs import center_transform, normalise
from dfdc.networks.settings import ARCHITECTURES, CropPolicy
from dfdc.networks.weights.find import Member
from dfdc.networks.weights.load import load_weights

# Blue speaks for real, orange for fake, as in all figures.
REAL, FAKE = np.array([0, 114, 178], np.float32), np.array([213, 94, 0], np.float32)
OPAQUE = 0.7  # at the largest contribution
MEANING = (
    "Heat maps: where {model} found signs of fake (orange) and of real (blue), in coarse cells and relative to the "
    "strongest sign in the faces of a row.\n"
    "They do not show which pixels were manipulated, and the other models may have looked elsewhere."
)


class HeatMapper:
    """Draws heat maps over faces, with a model for single frames."""

    def __init__(self, member: Member, device: torch.device) -> None:
        """Load the model. Raises UserError if the weights do not fit it."""
        model = member.model
        self.name, self.crop, self.device = member.name, CropPolicy(**model["crop"]), device
        self.model = build_model(model["architecture"], model["kind"], (self.crop.height, self.crop.width))
        self.model.load_state_dict(load_weights(member.path, model["architecture"], model["kind"]))
        self.model = self.model.eval().to(device)

    def __call__(self, faces: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The faces, RGB uint8 of any size, as the network sees them, with their contributions in colour."""
        inputs = [center_transform(face, self.crop) for face in faces]
        maps = contributions(self.model, normalise(torch.from_numpy(np.stack(inputs)).to(self.device))).cpu().numpy()
        strongest = max(float(np.abs(maps).max()), 1e-9)
        return [coloured(face, of_face / strongest) for face, of_face in zip(inputs, maps, strict=True)]


@torch.inference_mode()
def contributions(model: Classifier, images: torch.Tensor) -> torch.Tensor:
    """What each cell of the last convolution's output adds to the logits of normalised images: N x rows x columns.

    The mean over the cells of an image, plus the bias of the last layer, is its logit. That layer is linear in the mean
    of the cells, so this is Grad-CAM before its negative values are dropped (Selvaraju et al., "Grad-CAM", ICCV 2017,
    section 3), without gradients.
    """
    features = model.extract_features(images.contiguous(memory_format=torch.channels_last))
    return torch.einsum("nkhw,k->nhw", features, model._fc.weight[0])


def coloured(face: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """An RGB uint8 picture, in grey, in the colours of a map from -1 (real) to 1 (fake), of any lower resolution."""
    height, width = face.shape[:2]
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[..., np.newaxis]
    smooth = cv2.resize(shares.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)[..., np.newaxis]
    strength = OPAQUE * np.clip(np.abs(smooth), 0, 1)
    mixed = (1 - strength) * grey + strength * np.where(smooth > 0, FAKE, REAL)
    return mixed.round().astype(np.uint8)


def heat_mapper(members: Sequence[Member], device: torch.device) -> HeatMapper | None:
    """Of the first EfficientNet for single frames, whose output is a mean over cells; None if there is none."""
    single = [
        member
        for member in members
        if member.model["kind"] == "frame" and member.model["architecture"] in ARCHITECTURES
    ]
    return HeatMapper(single[0], device) if single else None
