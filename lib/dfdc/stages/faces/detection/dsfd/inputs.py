"""Making network inputs of resized frames."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dfdc.stages.faces.detection.resize import resize_to_area, resize_to_longer_side

MEAN_BGR = (104.0, 117.0, 123.0)
# For each way to resize frames its function, and of how many pixels the sides are made a multiple by padding.
RESIZE_RULES = {"area": (resize_to_area, 1), "longer_side": (resize_to_longer_side, 32)}


def network_input(images: list[np.ndarray], multiple: int, device: torch.device) -> Tensor:
    """A batch for the network of RGB images of one size: B x 3 x H x W float32, BGR, less the mean.

    It is padded with zeros, the mean colour, at the right and the bottom to a multiple of ``multiple``
    pixels. Its memory is laid out channels last, as the images are.
    """
    height, width = images[0].shape[:2]
    batch = torch.from_numpy(np.stack(images)).to(device)  # a quarter of the bytes of float32 on the way
    bgr = batch.flip(-1).float() - torch.tensor(MEAN_BGR, device=device)
    return F.pad(bgr.permute(0, 3, 1, 2), (0, -width % multiple, 0, -height % multiple))
