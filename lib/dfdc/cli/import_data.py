"""Lay out another data set as training parts or as test videos, with links.

    dfdc import faceforensics FaceForensics++ data --parts 8 --split train.json
    dfdc import celeb-df Celeb-DF-v2 data --split test --test

SOURCE is the folder of the data set as published, DEST the folder for the parts, which may hold other data. NAME_part_0
and so on get links to the videos and a metadata.json; with --test, NAME_test gets links and NAME_test.csv the labels.
The .yaml file of the same name has the settings for using them; the .json file lists what was found and what was left
out. No video is opened or copied. Running it again on a complete import changes nothing.

No person appears in two parts, as far as file names identify people. See docs/your-own-data.md.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from dfdc.config.settings import word
from dfdc.data.importing.celeb_df import CelebDF
from dfdc.data.importing.deepfakedetection import DeepFakeDetection
from dfdc.data.importing.dfdc_preview import DfdcPreview
from dfdc.data.importing.dfdc_test import DfdcTest
from dfdc.data.importing.division import groups_of, into_parts, usable
from dfdc.data.importing.faceforensics import COMPRESSIONS, METHODS, FaceForensics
from dfdc.data.importing.folders import Folders
from dfdc.data.importing.found import Collection, Found, Kind
from dfdc.data.importing.layout import Layout, as_parts, as_test, write_layout
from dfdc.system.errors import UserError
from dfdc.system.words import printable, some

KINDS: dict[str, type[Kind]] = {
    "faceforensics": FaceForensics,
    "dfd": DeepFakeDetection,
    "celeb-df": CelebDF,
    "dfdc-preview": DfdcPreview,
    "dfdc-test": DfdcTest,
    "folders": Folders,
}
SPLITS = ("train", "test")
LISTED = 5  # of what is left out


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("kind", choices=list(KINDS), metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the folder of the data set")
    parser.add_argument("dest", type=Path, metavar="DEST", help="the folder for the parts")
    parser.add_argument("--name", help="prefix of all names in DEST (default: the kind; dfdc for dfdc-test)")
    parser.add_argument("--parts", type=int, metavar="N", help="number of training parts (default: 1)")
    parser.add_argument(
        "--disjoint",
        choices=("people", "originals"),
        help="what never spans two parts: a person (the default), or only an original and its fakes",
    )
    parser.add_argument("--test", action="store_true", help="test videos with labels instead of parts")
    group = parser.add_argument_group("options for some kinds")
    group.add_argument("--compression", choices=COMPRESSIONS, help="faceforensics, dfd: which videos (c23)")
    group.add_argument(
        "--methods", nargs="+", choices=METHODS, metavar="METHOD", help="faceforensics: which fakes (those there are)"
    )
    group.add_argument(
        "--split",
        help="which videos; faceforensics: a JSON file of the official split; celeb-df, dfdc-preview: train or test",
    )
    group.add_argument("--real", metavar="DIR", help="folders: the folder of the real videos in SOURCE (real)")
    group.add_argument("--fake", metavar="DIR", help="folders: the folder of the fakes in SOURCE (fake)")
    group.add_argument(
        "--rule",
        nargs=2,
        metavar=("PATTERN", "NAME"),
        help=r"folders: a regular expression for the names of fakes, and the name of the original: '(.+)_\d+' '\1'",
    )
    group.add_argument("--pairs", metavar="CSV", help="folders: a table with the columns fake and original")


def run(options: argparse.Namespace) -> int:
    """Import the data set, and print what there is."""
    kind = kind_of(options)
    name = options.name or options.kind.replace("-", "_").removesuffix("_test")
    if not word(name):
        raise UserError(f"--name {name}: must be a word of letters (A to Z), digits, _ and -.")
    test = options.test or kind.only_test
    for option, value in (("--parts", options.parts), ("--disjoint", options.disjoint)):
        if test and value is not None:
            raise UserError(f"{option} is about training parts, but these are test videos. Leave it out.")
    count, disjoint = 1 if options.parts is None else options.parts, options.disjoint or "people"
    if count < 1:
        raise UserError(f"--parts is {count}, but must be 1 or more.")
    try:
        found = usable(kind.find(options.source), need_originals=not test)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read ({error.strerror}). Correct its permissions.") from error
    if not found.videos or not (test or any(video.fake for video in found.videos)):
        raise UserError("\n".join(["There is no fake with its original, nor anything else to use.", *_left_out(found)]))
    groups = groups_of(found.videos, disjoint == "people")
    layout = as_test(f"{name}_test", found.videos) if test else as_parts(name, into_parts(groups, count))
    layout = with_settings(layout, name, options.dest, test)
    asked = {"kind": options.kind, "options": asdict(kind), "test": test, "parts": count, "disjoint": disjoint}
    changed = write_layout(layout, options.dest, record_of(layout, found, options.source) | asked)
    print(f"{'Made' if changed else 'Nothing to do, everything is there'}: {some(layout.folders)} in {options.dest}")
    for line in (*counts(found.videos), *sizes(layout, groups, count, disjoint, test), *_left_out(found)):
        print(printable(line))
    print(f"Settings: --configfile {options.dest / layout.name}.yaml; the record: {options.dest / layout.name}.json")
    return 0


def kind_of(options: argparse.Namespace) -> Kind:
    """The kind of data set with its options. Raises UserError for options that it does not have."""
    given = {key: getattr(options, key) for key in ("compression", "methods", "split", "real", "fake", "rule", "pairs")}
    given = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items() if value is not None
    }
    kind = KINDS[options.kind]
    for key in given:
        known = [field.name for field in fields(kind)]
        if key not in known:
            has = ", ".join(f"--{name}" for name in known) or "none of its own"
            raise UserError(f"--{key} is no option of {options.kind}, which has {has}.")
    if options.kind != "faceforensics" and given.get("split", "train") not in SPLITS:
        raise UserError(f"--split {given['split']}: must be {' or '.join(SPLITS)}.")
    return kind(**given)


def with_settings(layout: Layout, name: str, dest: Path, test: bool) -> Layout:
    """The layout with a settings file, with absolute paths; ``name`` is that of an external set."""
    root = dest.absolute()
    external = {name: {"videos": str(root / layout.name), "labels": str(root / f"{layout.name}.csv")}}
    data = {"external": external} if test else {"root": str(root), "parts": list(layout.folders)}
    text = yaml.safe_dump({"data": data}, sort_keys=False, allow_unicode=True)
    return Layout(layout.name, layout.folders, layout.inside, {**layout.beside, f"{layout.name}.yaml": text})


def record_of(layout: Layout, found: Collection, source: Path) -> dict[str, Any]:
    """What was found, and what was left out."""
    left_out = {str(path): reason for path, reason in found.left_out.items()}
    names = {str(path): str(path.relative_to(source)) for path in found.left_out if path.is_relative_to(source)}
    return {
        "source": str(source.absolute()),
        "videos": {name: len(videos) for name, videos in layout.folders.items()},
        "left_out": {names.get(path, path): reason for path, reason in left_out.items()},
    }


def counts(videos: Sequence[Found]) -> Iterator[str]:
    """How many videos there are, by method."""
    fakes = Counter(video.method or "fake" for video in videos if video.fake)
    methods = ", ".join(f"{count:,} {method}" for method, count in sorted(fakes.items()))
    total = sum(fakes.values())
    yield f"{len(videos):,} videos: {len(videos) - total:,} real, {total:,} fakes ({methods})"


def sizes(layout: Layout, groups: Sequence[Sequence[Found]], count: int, disjoint: str, test: bool) -> Iterator[str]:
    """How large the parts are, and why there are not as many as were asked for, or not as even."""
    if test or count == 1:
        return
    numbers = [len(videos) for videos in layout.folders.values()]
    total, largest = sum(numbers), len(groups[0])
    if len(numbers) == 1:
        yield f"1 part of {total:,} videos"
    else:
        yield f"{len(numbers)} parts of {min(numbers):,} to {max(numbers):,} videos"
    if disjoint == "people" and largest > 2 * total / count:
        yield (
            f"Parts of even size are not possible without a person in two of them: {largest:,} of {total:,} videos are "
            "linked by the people in them. --disjoint originals keeps only an original and its fakes together."
        )


def _left_out(found: Collection) -> Iterator[str]:
    if found.left_out:
        yield f"{len(found.left_out):,} left out:"
        yield from (f"  {path}: {reason}" for path, reason in list(found.left_out.items())[:LISTED])
    if len(found.left_out) > LISTED:
        yield f"  and {len(found.left_out) - LISTED:,} more"
