"""The versions of this code, and of the libraries that affect results."""

import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path

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


def own_version() -> str:
    """The version of this code: of the checkout, which need not be installed, or of the installed package."""
    project = Path(__file__).resolve().parents[3] / "pyproject.toml"
    if project.is_file():
        return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    return metadata.version("dfdc")
