"""From resized frames to network inputs."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dfdc.stages.faces.detection.resize import resize_to_area, resize_to_longer_side

MEAN_BGR = (104.0, 117.0, 123.0)
# For each resize rule: the function, and the number of pixels whose multiple the sides are padded to.
RESIZE_RULES = {"area": (resize_to_area, 1), "longer_side": (resize_to_longer_side, 32)}


def network_input(images: list[np.ndarray], multiple: int, device: torch.device) -> Tensor:
    """A network input batch from RGB images of one size: B x 3 x H x W float32, BGR, mean subtracted.

    It is padded with zeros (the mean colour) at the right and the bottom to a multiple of ``multiple`` pixels. The
    memory layout is channels last, like that of the images.
    """
    height, width = images[0].shape[:2]
    batch = torch.from_numpy(np.stack(images)).to(device)  # uint8: a quarter of the bytes of float32 to copy
    bgr = batch.flip(-1).float() - torch.tensor(MEAN_BGR, device=device)
    return F.pad(bgr.permute(0, 3, 1, 2), (0, -width % multiple, 0, -height % multiple))
