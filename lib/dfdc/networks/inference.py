"""The precision of networks that are not trained."""

import torch

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def inference_type(device: torch.device, precision: str) -> torch.dtype:
    """The type to compute in on a device; ``precision`` is fp32, bf16 or fp16.

    A CPU always computes in float32, so that its results are the same bytes every time. A GPU without bfloat16 (before
    Ampere) computes in float16 in its place. On a GPU this also disables TF32 for whatever is computed in float32.
    """
    if device.type != "cuda":
        return torch.float32
    torch.backends.cudnn.allow_tf32 = False
    if precision == "bf16" and torch.cuda.get_device_capability(device) < (8, 0):
        return torch.float16
    return TYPES[precision]
