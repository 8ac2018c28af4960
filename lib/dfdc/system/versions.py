"""The versions of the libraries that affect results."""

from functools import cache
from importlib import metadata

# Libraries that decode, resize, encode and compute. OpenCV is distributed under several names.
LIBRARIES = (
    "av",
    "efficientnet-pytorch",
    "isal",
    "numpy",
    "opencv-contrib-python",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
    "torch",
)


@cache
def versions() -> dict[str, str]:
    """The version of each of ``LIBRARIES`` that is installed."""
    installed = {}
    for name in LIBRARIES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed
