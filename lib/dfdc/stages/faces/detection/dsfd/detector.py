"""The DSFD detector: resized frames in, boxes in pixels of the frames out."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dfdc.networks.inference import inference_type
from dfdc.stages.faces.detection.dsfd.boxes import suppress
from dfdc.stages.faces.detection.dsfd.folding import folded
from dfdc.stages.faces.detection.dsfd.inputs import RESIZE_RULES, network_input
from dfdc.stages.faces.detection.dsfd.weights import load_dsfd
from dfdc.stages.faces.detection.resize import Resize, Resized
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.system.errors import UserError


class DSFDDetector:
    """Finds faces with DSFD, on a CPU or a GPU."""

    def __init__(
        self,
        weights: str | Path,
        resize: str,
        size: int = 512,
        threshold: float = 0.3,
        device: str | torch.device = "cpu",
        batch_size: int = 16,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """Load the weights, a ``.pth`` file, onto a device.

        ``resize`` defines the meaning of ``size`` (pixels): with "area" frames are resized to the area of a square with
        that side, with "longer_side" to that length of the longer side. Boxes with a score above ``threshold`` (0-1)
        are kept. The batch size is ``batch_size`` on a GPU and 1 on a CPU. ``dtype`` is the type that the network
        computes in.

        Raises UserError if the weights are missing or do not fit.
        """
        rule, self.multiple = RESIZE_RULES[resize]
        self.prepare = Resize(rule, size)
        self.threshold = threshold
        self.device = torch.device(device)
        # On a CPU batches save no time, and the last bits of a result would depend on the rest of the batch.
        self.batch_size = 1 if self.device.type == "cpu" else batch_size
        self.weights = weights
        network = load_dsfd(weights).to(self.device, memory_format=torch.channels_last)
        # By the type of their inputs. A batch whose activations overflow the first (float16: above 65,504) is computed
        # again by the second.
        self.networks = {} if dtype == torch.float32 else {dtype: folded(network, dtype)}
        self.networks[torch.float32] = network

    def detect(self, prepared: list[Resized]) -> list[np.ndarray]:
        """Detect the faces in frames resized by ``prepare``.

        Returns for each, in order, an N x 5 float32 array of x1, y1, x2, y2 in pixels of the frame (boxes may extend
        beyond it) and the score, best first. Raises UserError if the network's output is not finite.
        """
        by_shape = defaultdict(list)
        for index, resized in enumerate(prepared):
            by_shape[resized.image.shape].append(index)
        faces = {}
        for indices in by_shape.values():
            for start in range(0, len(indices), self.batch_size):
                batch = indices[start : start + self.batch_size]
                faces.update(zip(batch, self._detect([prepared[index] for index in batch]), strict=True))
        return [faces[index] for index in range(len(prepared))]

    @torch.inference_mode()
    def _detect(self, prepared: list[Resized]) -> list[np.ndarray]:
        """The faces in images of one shape."""
        images = network_input([resized.image for resized in prepared], self.multiple, self.device)
        image, boxes, score = self._run(images)
        faces = torch.cat((boxes, score[:, None]), dim=1).cpu().numpy()
        image = image.cpu().numpy()
        height, width = images.shape[-2:]  # including padding, like the unit of the boxes
        kept = []
        for index, resized in enumerate(prepared):
            of_image = faces[image == index]
            of_image[:, [0, 2]] *= width / resized.scale[0]
            of_image[:, [1, 3]] *= height / resized.scale[1]
            kept.append(suppress(of_image))
        return kept

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The faces above the threshold, as returned by ``DSFD.forward``.

        The published system applies non-maximum suppression to scores above 0.01 and then its higher threshold. The
        higher threshold alone gives the same boxes: a box is suppressed only by boxes with higher scores, so boxes
        below the threshold suppress none above it; and above the threshold, the best 5,000 boxes are the same.
        """
        for dtype, network in self.networks.items():
            try:
                return network(images.to(dtype), self.threshold)
            except FloatingPointError as error:
                cause = error
        raise UserError(
            f"The output of the face detector DSFD is not finite. Its weights, {self.weights}, are damaged: copy or "
            "download them again."
        ) from cause


def build(settings: DetectionSettings, device: str, batch_size: int) -> DSFDDetector:
    """The detector with the given settings, on a device."""
    if device == "cpu":
        # One thread per process regardless of cores: the last digits of sums depend on the number of threads.
        torch.set_num_threads(1)
    return DSFDDetector(
        settings.weights,
        resize=settings.resize,
        size=settings.size,
        threshold=settings.threshold,
        device=device,
        batch_size=batch_size,
        dtype=inference_type(torch.device(device), settings.precision),
    )
