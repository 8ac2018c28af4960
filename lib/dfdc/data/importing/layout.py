"""Folders of links to the videos of another data set, with their labels, laid out as parts or as test videos."""

import csv
import errno
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dfdc.data.importing.found import Found
from dfdc.system.errors import UserError
from dfdc.system.files import full_disk, is_disk_full, write_text
from dfdc.system.words import some

METADATA = "metadata.json"
TEMPORARY = ".link.import"  # a link that is to take the place of another


@dataclass(frozen=True)
class Layout:
    """What an import makes in its folder: folders of links, each with files, and files beside them."""

    name: str
    folders: Mapping[str, Sequence[Found]]
    inside: Mapping[str, str] = field(default_factory=dict)
    """{folder: content of its metadata.json}, of the folders that have one."""
    beside: Mapping[str, str] = field(default_factory=dict)


def as_parts(name: str, parts: Sequence[Sequence[Found]]) -> Layout:
    """Training parts ``name_part_0`` and so on."""
    folders = {f"{name}_part_{number}": part for number, part in enumerate(parts)}
    return Layout(name, folders, {folder: _json(_entries(part)) for folder, part in folders.items()})


def as_test(name: str, videos: Sequence[Found]) -> Layout:
    """Test videos in the folder ``name`` with labels in ``name.csv``."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["filename", "label", "original", "method"])
    rows.writerows([video.name, int(video.fake), video.original, video.method] for video in videos)
    return Layout(name, {name: videos}, beside={f"{name}.csv": text.getvalue()})


def _entries(part: Sequence[Found]) -> dict[str, dict[str, str]]:
    return {
        video.name: {"label": "FAKE", "original": video.original, "method": video.method}
        if video.fake
        else {"label": "REAL"}
        for video in part
    }


def write_layout(layout: Layout, folder: Path, record: Mapping[str, Any]) -> bool:
    """Write a layout into a folder, and last a record of it to ``name.json``; returns whether there was anything to do.

    Links are relative, so that a disk can be mounted elsewhere. Each folder appears when it is complete. What an
    earlier call has made is kept, and its links are corrected if the data set has moved. Raises UserError if there is
    something else in the place of a folder, or the record is of another import, before anything is written.
    """
    about = folder / f"{layout.name}.json"
    _refuse_others(layout, folder, about, record)
    try:
        done = [_write_folder(layout, folder, name) for name in layout.folders]
        for name, text in {**layout.beside, about.name: _json(record)}.items():
            if not _holds(folder / name, text):
                write_text(folder / name, text)
                done.append(True)
        for left in folder.glob(f".{layout.name}_part_*.import"):  # of a call with other options that was stopped
            shutil.rmtree(left)
    except OSError as error:
        raise UserError(_message(error, folder)) from error
    return any(done)


def _refuse_others(layout: Layout, folder: Path, about: Path, record: Mapping[str, Any]) -> None:
    """Raise UserError if the folder has something else in the place of what would be written."""
    remedy = "Choose another --name or another folder, or delete what is there."
    if about.exists():
        try:
            before, now = json.loads(about.read_text(encoding="utf-8")), json.loads(_json(record))
            other = [key for key in now if key != "source" and before.get(key) != now[key]]
        except (ValueError, OSError, AttributeError, RecursionError):
            other = ["everything"]
        if other:
            raise UserError(
                f"{about} is the record of another import, which differs in: {', '.join(other)}. The videos or the "
                f"options are others than before. {remedy}"
            )
    for name, videos in layout.folders.items():
        place = folder / name
        if not place.exists() and not place.is_symlink():
            continue
        wanted = {video.name for video in videos} | ({METADATA} if name in layout.inside else set())
        there = _names_in(place) - {TEMPORARY} if place.is_dir() else {"a file in its place"}
        files = {entry for entry in there & wanted if entry != METADATA and not (place / entry).is_symlink()}
        other = sorted((there ^ wanted) | files)
        if other or (name in layout.inside and not _holds(place / METADATA, layout.inside[name])):
            raise UserError(
                f"{place} is not what this import makes: it differs in {some(other or [METADATA])}. {remedy}"
            )


def _write_folder(layout: Layout, folder: Path, name: str) -> bool:
    """Make a folder, or correct its links; returns whether anything was to be done."""
    final = folder / name
    place = final if final.is_dir() else folder / f".{name}.import"
    place.mkdir(parents=True, exist_ok=True)
    changed = [_link(place / video.name, target) for video, target in _targets(layout.folders[name], place)]
    if place == final:
        return any(changed)
    wanted = {video.name for video in layout.folders[name]}
    for left in _names_in(place) - wanted:  # of a call with other options that was stopped
        (place / left).unlink()
    if name in layout.inside:
        write_text(place / METADATA, layout.inside[name])
    place.rename(final)
    return True


def _targets(videos: Sequence[Found], place: Path) -> Iterator[tuple[Found, str]]:
    """Each video with the target of its link. Folders are resolved, files are not: they may be links with a purpose."""
    start = place.resolve()
    resolved: dict[Path, str] = {}
    for video in videos:
        parent = video.path.parent
        if parent not in resolved:
            resolved[parent] = os.path.relpath(parent.resolve(), start)
        yield video, f"{resolved[parent]}/{video.path.name}"


def _link(path: Path, target: str) -> bool:
    """Make a link, in one step if there is another; returns whether there was not yet one to the target."""
    if not path.is_symlink():
        path.symlink_to(target)
        return True
    if path.readlink() == Path(target):
        return False
    temporary = path.with_name(TEMPORARY)
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)
    return True


def _names_in(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, ValueError):
        return False


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _message(error: OSError, folder: Path) -> str:
    if is_disk_full(error):
        return full_disk(folder / "links")
    if error.errno in (errno.EPERM, errno.EOPNOTSUPP):
        return (
            f"{error.filename} cannot be made ({error.strerror}): the file system of {folder} has no symbolic links, "
            "or does not permit them. Choose a folder on another disk; the links take no space."
        )
    return f"{error.filename} cannot be written ({error.strerror}). Choose another folder, or correct its permissions."
