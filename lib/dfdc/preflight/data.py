"""Checks of the data set: whether parts and test videos exist and are complete."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfdc.config.paths import scored_folder, scored_labels
from dfdc.data.labels import OR_NONE, read_labels
from dfdc.data.parts import VIDEO_SUFFIXES, find_parts, is_video, read_metadata
from dfdc.preflight.findings import Finding, untrained
from dfdc.preflight.inputs import HOW_TO_GET_THE_DATA, HOW_TO_NAME_TEST_VIDEOS
from dfdc.system.errors import UserError
from dfdc.system.words import in_units, some

DFDC_PARTS, DFDC_VIDEOS = 50, 119_154
KEYS = ("videos", "labels")  # of scored videos
# Network disks handle many requests at a time.
READERS = 8


@dataclass(frozen=True)
class Amounts:
    """The size of the data set: parts, their videos, pairs of a fake and its original, test videos."""

    parts: int = 0
    videos: int = 0
    pairs: int = 0
    test_videos: int = 0


@dataclass(frozen=True)
class Part:
    """The result of checking a part: a ``fault``, or numbers of videos."""

    name: str
    fault: str = ""
    videos: int = 0
    fakes: int = 0
    missing: int = 0
    empty: int = 0
    without_original: int = 0
    unnamed: int = 0
    bytes: int = 0

    @property
    def unreadable(self) -> int:
        """The number of videos that are certainly unreadable."""
        return self.missing + self.empty


def look_at_data(config: Mapping[str, Any]) -> tuple[list[Finding], Amounts]:
    """Findings about the folders that the config names, and the size of the data set."""
    data, root = config["data"], Path(config["data"]["root"])
    folder = scored_folder(config, "")
    if "demo" in config and not folder.is_dir():
        return [Finding("ok", "data", "will be made by the workflow (the demo's)")], Amounts()
    findings: list[Finding] = []
    parts: list[Part] = []
    if untrained(config):
        names = find_parts(root) if data["parts"] == "auto" else data["parts"]
        with ThreadPoolExecutor(READERS) as readers:
            parts = list(readers.map(lambda name: look_at_part(root / name), names))
        findings += _about_parts(parts, config)
    sizes = _sizes(folder)
    findings += _about_scored_videos(config, "", sizes)
    for name in data["external"]:
        findings += _about_scored_videos(config, name, _sizes(scored_folder(config, name)))
    videos, pairs = (sum(getattr(part, key) for part in parts) for key in ("videos", "fakes"))
    pairs -= sum(part.without_original for part in parts)
    return findings, Amounts(len(parts), videos, pairs, len(sizes))


def look_at_part(folder: Path) -> Part:
    """Compare the files of a part with its metadata.json."""
    if not folder.is_dir():
        return Part(folder.name, f"The training part {folder} (data.parts in the config) is not a folder.")
    try:
        metadata = read_metadata(folder / "metadata.json")
    except UserError as error:
        return Part(folder.name, str(error))
    sizes = _sizes(folder, metadata)
    sound = {name for name in metadata if sizes.get(name, -1) > 0}
    fakes = [name for name, entry in metadata.items() if entry["label"] == "FAKE"]
    return Part(
        folder.name,
        videos=len(metadata),
        fakes=len(fakes),
        missing=sum(sizes.get(name, -1) < 0 for name in metadata),
        empty=sum(sizes.get(name) == 0 for name in metadata),
        without_original=sum(not {name, metadata[name]["original"]} <= sound for name in fakes),
        unnamed=len(sizes.keys() - metadata.keys()),
        bytes=sum(size for size in sizes.values() if size > 0),
    )


def _sizes(folder: Path, named: Mapping[str, Any] | None = None) -> dict[str, int]:
    """The sizes in bytes of the videos in a folder and of files in ``named``; -1 if an entry is not a file."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        wanted = [entry for entry in entries if is_video(entry.name) or entry.name in (named or ())]
        return {entry.name: _size(entry) for entry in wanted}


def _size(entry: os.DirEntry) -> int:
    try:
        return -1 if entry.is_dir() else entry.stat().st_size
    except OSError:  # a broken link
        return -1


def _about_parts(parts: Sequence[Part], config: Mapping[str, Any]) -> Iterator[Finding]:
    root = Path(config["data"]["root"]).resolve()
    if not parts:
        fault = (
            "holds no training parts (folders dfdc_train_part_N or train_sample_videos)"
            if root.is_dir()
            else "is not a folder"
        )
        yield Finding("stops", "parts", f"{root} (data.root in the config) {fault}.", HOW_TO_GET_THE_DATA)
        return
    for part in [part for part in parts if part.fault][:3]:
        yield Finding("stops", "parts", part.fault)
    if len([part for part in parts if part.fault]) > 3:
        yield Finding("stops", "parts", f"{len([part for part in parts if part.fault]) - 3} more parts have faults.")
    videos, fakes, size = (sum(getattr(part, key) for part in parts) for key in ("videos", "fakes", "bytes"))
    yield Finding(
        "ok", "parts", f"{len(parts)} in {root}, with {videos:,} videos, of which {fakes:,} are fakes; {in_units(size)}"
    )
    yield from _missing_parts(parts, videos, config)
    allowed = config["data"]["max_unreadable"]
    broken = [part for part in parts if part.unreadable > allowed * part.videos]
    if broken:
        shares = some(f"{part.name} {part.unreadable} of {part.videos}" for part in broken)
        yield Finding(
            "stops",
            "parts",
            f"More than the share data.max_unreadable ({allowed:g}) of a part's videos is missing or empty: {shares}.",
            "Extract the archives of these parts again, or raise data.max_unreadable to go on without the videos.",
        )
    unreadable = [part for part in parts if part.unreadable and part not in broken]
    if unreadable:
        missing, empty = (sum(getattr(part, key) for part in unreadable) for key in ("missing", "empty"))
        yield Finding(
            "note",
            "parts",
            f"{missing} videos of metadata.json are missing, {empty} are empty: {some(p.name for p in unreadable)}.",
            "Extract the archives of these parts again; otherwise the run continues without these videos.",
        )
    if lone := sum(part.without_original for part in parts):
        yield Finding("note", "parts", f"{lone} fakes have no pair: they or their originals are missing or empty.")
    if fakes and lone == fakes:
        yield Finding("stops", "parts", "There is no fake with its original: nothing to train on.", HOW_TO_GET_THE_DATA)
    if unnamed := sum(part.unnamed for part in parts):
        yield Finding("note", "parts", f"{unnamed} videos are not in their part's metadata.json and are left out.")


def _missing_parts(parts: Sequence[Part], videos: int, config: Mapping[str, Any]) -> Iterator[Finding]:
    """Which parts of DFDC are missing, if the parts are DFDC's."""
    numbers = [re.fullmatch(r"dfdc_train_part_0*(\d+)", part.name) for part in parts]
    if config["data"]["parts"] != "auto" or not all(numbers):
        return
    missing = sorted(set(range(DFDC_PARTS)) - {int(number[1]) for number in numbers})
    if missing:
        yield Finding(
            "note",
            "parts",
            f"Of DFDC's {DFDC_PARTS} parts these are missing: {_ranges(missing)}.",
            "The models are trained without them. " + HOW_TO_GET_THE_DATA.splitlines()[-1],
        )
    elif videos != DFDC_VIDEOS:
        yield Finding("note", "parts", f"DFDC's {DFDC_PARTS} parts have {DFDC_VIDEOS:,} videos; these have {videos:,}.")


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending integers, with consecutive ones as ranges: 0, 3 to 7, 9."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _about_scored_videos(config: Mapping[str, Any], external: str, sizes: Mapping[str, int]) -> Iterator[Finding]:
    """Findings about the videos of an external set with these sizes, or about the test videos for ""."""
    folder, topic = scored_folder(config, external), "external set" if external else "test videos"
    key, labels_key = (f"data.external.{external}.{name}" if external else f"data.test_{name}" for name in KEYS)
    if not sizes:
        fault = (
            f"holds no video (names that end in {', '.join(VIDEO_SUFFIXES)})" if folder.is_dir() else "does not exist"
        )
        yield Finding(
            "stops",
            topic,
            f"The folder {folder.resolve()} ({key} in the config) {fault}.",
            HOW_TO_NAME_TEST_VIDEOS.format(key),
        )
        return
    whole = [size for size in sizes.values() if size > 0]
    yield Finding("ok", topic, f"{len(sizes):,} in {folder.resolve()}; {in_units(sum(whole))}")
    if len(whole) < len(sizes):
        yield Finding("note", topic, f"{len(sizes) - len(whole)} are empty or not files, and will score 0.5.")
    labels, topic = scored_labels(config, external), "external set" if external else "test labels"
    if labels is None:
        return
    try:
        labelled = len(read_labels(labels, labels_key).keys() & sizes.keys())
    except UserError as error:
        yield Finding("stops", topic, str(error))
        return
    level = "ok" if labelled == len(sizes) else "note" if labelled else "stops"
    remedy = "" if labelled else f"Name another file in {labels_key}{OR_NONE.get(labels_key, '')}."
    yield Finding(level, topic, f"{labels.resolve()} has labels of {labelled} of {len(sizes)} videos", remedy)
