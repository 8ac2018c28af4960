"""Mixup of a real face with its own fake (Zhang et al., ICLR 2018)."""

import torch


def mix(real: torch.Tensor, fake: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mix batches N x 3 x height x width of real and fake images: ``(1 - t) · real + t · fake``.

    ``targets`` are N values from 0 (real) to 1 (fake). Zhang et al., "mixup: Beyond Empirical Risk
    Minimization" (2018), section 2; the two samples are a real frame and its own fake.
    """
    weight = targets.to(real).view(-1, 1, 1, 1)
    return (1 - weight) * real + weight * fake
