"""Read all files of a run and list those that are damaged.

Tables, stores, checkpoints, weights, evaluations, figures and the submission have checksums, which their readers
verify; this reads all of them in full, at the speed of the disk:

    dfdc verify demo
    dfdc verify results/clips/dfdc_train_part_0.arrow

Without a path: results, work and submission.csv in the current folder. Files of other kinds, and files without a
checksum (from other software, or from earlier versions), are counted but not verified.

Exit status: 0, or 1 if a file is damaged.
"""

import argparse
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from dfdc.data.pictures.store import Store
from dfdc.data.tables import read_any_table
from dfdc.system.checksums import (
    SUBMISSION,
    SUM_OF_SUBMISSION,
    has_checksum,
    read_json,
    verify_figure,
    verify_submission,
)
from dfdc.system.errors import UserError
from dfdc.system.jobs.records.accepted import ACCEPTED, read_accepted
from dfdc.system.words import in_units, printable, some

PLACES = (Path("results"), Path("work"))
RESULTS = ("evaluation.json", "calibration.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="a file, or a folder with all files below")


def run(options: argparse.Namespace) -> int:
    """Verify the files, and print those that are damaged."""
    here = [Path()] if any(map(Path.is_dir, PLACES)) else []
    files = find_files(options.paths or here)
    if not files:
        raise UserError("There is nothing to verify: name the folder of a run, or run this command in one.")
    verified, size, others, damaged = 0, 0, [], 0
    for path in tqdm(files, unit="file", file=sys.stderr, disable=None, leave=False):
        reasons = list(damage_of(path))
        if reasons == [UNVERIFIED]:
            others.append(path)
            continue
        verified, size = verified + 1, size + path.stat().st_size
        for reason in reasons:
            tqdm.write(printable(f"{path}: {reason}"), file=sys.stdout)
        damaged += bool(reasons)
    print(f"{verified} files verified ({in_units(size)}): {damaged or 'none'} damaged")
    if others:
        print(printable(f"{len(others)} files not verified, without a checksum: {some(map(str, others))}"))
    if damaged:
        print("Delete the damaged files and run snakemake again to recreate them.")
    return int(damaged > 0)


UNVERIFIED = "no checksum"


def find_files(places: Sequence[Path]) -> list[Path]:
    """The files at or below some places, of a run's folder only its results.

    Raises UserError if a place does not exist.
    """
    files: list[Path] = []
    for place in places:
        if not place.exists():
            raise UserError(f"There is no file or folder {place}. Correct the path.")
        of_run = [place / name for name in PLACES if (place / name).is_dir()]
        folders = of_run or [place]
        inside = [path for folder in folders for path in sorted(folder.rglob("*"))]
        inside = [place] if place.is_file() else [*inside, *([place / SUBMISSION] if of_run else [])]
        files += [path for path in inside if path.is_file() and _is_verified(path)]
    return files


def _is_verified(path: Path) -> bool:
    """Whether a file is looked at: not what is unfinished, nor what is verified together with another file."""
    others = ".snakemake" in path.parts or path.name.endswith(".part") or path.name == SUM_OF_SUBMISSION.name
    return not others


def damage_of(path: Path) -> Iterator[str]:
    """What is damaged in a file; ``UNVERIFIED`` if it has no checksum."""
    try:
        match path.suffix:
            case ".parquet":
                read_any_table(path)
            case ".arrow":
                yield from Store(path).damage()
            case ".safetensors":
                yield from _damage_of_tensors(path)
            case ".pth":
                yield from _damage_of_archive(path)
            case ".json" if path.name in RESULTS or has_checksum(path):
                read_json(path)
            case ".jsonl" if path.name == ACCEPTED.name:
                read_accepted(path)
            case ".svg" | ".jpg" if verify_figure(path.read_bytes()):
                pass
            case ".png":  # which has a checksum of each of its blocks
                with Image.open(path) as picture:
                    picture.verify()
            case ".csv" if verify_submission(path):
                pass
            case _:
                yield UNVERIFIED
    except (UserError, OSError, ValueError, SyntaxError) as error:  # the last one from Pillow
        yield str(error).removeprefix(f"{path} is damaged: ").split(". Delete it")[0]


def _damage_of_tensors(path: Path) -> Iterator[str]:
    from dfdc.networks.weights.tensors import CHECKSUM, read_safetensors  # late, because torch takes seconds to import

    try:
        _, metadata = read_safetensors(path)
    except ValueError as error:
        yield str(error)
    else:
        if CHECKSUM not in metadata:
            yield UNVERIFIED


def _damage_of_archive(path: Path) -> Iterator[str]:
    """PyTorch's files are zip archives, which have a checksum of each entry."""
    try:
        with zipfile.ZipFile(path) as archive:
            if (name := archive.testzip()) is not None:
                yield f"{name} in it does not match its checksum"
    except zipfile.BadZipFile as error:
        yield str(error)
