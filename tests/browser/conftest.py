"""Chromium, and pages that ``dfdc score --html`` has written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from dfdc.cli.main import main
from dfdc.demo.sources import fetch_sources

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "unit"))

from samples import moving, write_video, write_weights  # noqa: E402

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 600_000  # milliseconds, far more than anything takes on a busy machine
HOSTILE = "<img src=x onerror=alert(1)>'&\".mp4"


def chromium() -> str:
    """The path of Chromium, which is installed where Debian's packages and root's rights are at hand."""
    for attempt in ("there", "installed"):
        if found := next(filter(None, map(shutil.which, NAMES)), None):
            return found
        if attempt == "there" and shutil.which("apt-get") and os.geteuid() == 0:
            for words in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
                subprocess.run(["apt-get", *words], env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=False)
    pytest.skip(f"there is no browser here ({', '.join(NAMES)}), and it could not be installed with apt, as root")


def astronaut_face() -> np.ndarray:
    """A photo of a face."""
    return cv2.cvtColor(cv2.imread(str(fetch_sources()["astronaut"])), cv2.COLOR_BGR2RGB)[0:320, 60:380]


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    with sync_playwright() as playwright:
        # Shared memory is small in containers.
        words = ["--disable-dev-shm-usage", *["--no-sandbox"] * (os.geteuid() == 0)]
        started = playwright.chromium.launch(executable_path=path, args=words, timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """A folder of pages: of two videos and an image with a face, a video without, and two of a name that is hostile."""
    folder = tmp_path_factory.mktemp("pages")
    for place in ("one", "two"):
        (folder / "videos" / place).mkdir(parents=True)
        (folder / "videos" / place / HOSTILE).write_bytes(b"no video")
    photo = astronaut_face()
    for number in (9, 10):
        sway = [np.roll(photo, round(20 * np.sin(index / 9)), axis=1) for index in range(10 * number)]
        write_video(folder / f"videos/clip {number}.mp4", sway)
    Image.fromarray(photo).save(folder / "videos/photo.jpg")
    write_video(folder / "videos/one/none.mp4", moving(20))
    weights = write_weights(folder / "re.safetensors")
    places = [folder / "videos", folder / "videos/one", folder / "videos/two"]
    words = ["--weights", weights, "--detector", "yunet", "--device", "cpu", "--workers", "1", "--html", folder / "out"]
    assert main(["score", *map(str, [*places, *words])]) == 1  # two cannot be read
    return folder / "out"
