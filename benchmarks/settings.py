"""The published settings, imported from the tests."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from published import CONFIG, DEMO, MODEL, YUNET, published

__all__ = ["CONFIG", "DEMO", "MODEL", "YUNET", "published"]
