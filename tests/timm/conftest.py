"""torchvision's wheel may have been built for another torch than the CPU's.

timm imports torchvision, whose compiled operators no network here uses. If they cannot be loaded, torchvision fails
because they are not declared: so they are declared, and timm is the real one.
"""

import importlib.util
import re
from pathlib import Path

import torch

OPERATORS = torch.library.Library("torchvision", "FRAGMENT")


def declare_operators() -> None:
    text = (Path(importlib.util.find_spec("torchvision").origin).parent / "_meta_registrations.py").read_text()
    for name in sorted(set(re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"\)', text))):
        OPERATORS.define(f"{name}(Tensor x) -> Tensor")


try:
    import torchvision  # noqa: F401
except RuntimeError:
    declare_operators()
