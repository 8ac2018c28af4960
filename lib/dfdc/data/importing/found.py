"""What is found in a data set, and the message if it is not laid out as expected."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dfdc.data.parts import VIDEO_SUFFIXES, test_videos
from dfdc.system.errors import UserError
from dfdc.system.words import some


@dataclass(frozen=True)
class Found:
    """A video of a data set.

    ``name`` is the file name that it gets, unique within the data set. Of a fake, ``original`` is the name of the real
    video that it was made from ("" if that is not known), ``method`` how it was made. ``people`` are the persons in it,
    also those whose face only was taken; nobody if the names do not tell.
    """

    path: Path
    name: str
    fake: bool
    original: str = ""
    method: str = ""
    people: frozenset[str] = frozenset()


@dataclass
class Collection:
    """The videos of a data set, and files that are left out: {path: reason}."""

    videos: list[Found] = field(default_factory=list)
    left_out: dict[Path, str] = field(default_factory=dict)


class Kind(Protocol):
    """A kind of data set, with its options as fields of a dataclass."""

    title: str
    """Its name in messages."""
    only_test: bool
    """Whether it has no originals, so that its videos can only be test videos."""

    def find(self, source: Path) -> Collection:
        """Find the videos below ``source`` by their names; none is opened.

        Raises UserError if the folder is not that of such a data set.
        """
        ...


def check_root(title: str, source: Path, wanted: Sequence[str]) -> None:
    """Raise UserError unless the folders or files ``wanted`` are in ``source``."""

    def is_root(folder: Path) -> bool:
        return all((folder / name).exists() for name in wanted)

    if is_root(source):
        return
    if not source.is_dir():
        raise UserError(f"{source.absolute()} is not a folder. Name the folder that holds {', '.join(wanted)}.")
    inside = sorted(entry.name for entry in source.iterdir())
    near = [*source.absolute().parents[:3], *(source.absolute() / name for name in inside)]
    meant = next((f" Did you mean {folder}?" for folder in near if folder.is_dir() and is_root(folder)), "")
    missing = " and no ".join(name for name in wanted if not (source / name).exists())
    raise UserError(
        f"{source.absolute()} does not look like {title}: there is no {missing} in it; it holds "
        f"{some(inside) if inside else 'nothing'}. Name the folder that holds {', '.join(wanted)}.{meant}"
    )


def videos_in(title: str, folder: Path, remedy: str) -> list[Path]:
    """The videos in a folder of a data set, sorted. Raises UserError if there is no folder or no video in it."""
    if not folder.is_dir():
        raise UserError(f"{title}: there is no folder {folder.absolute()}. {remedy}")
    videos = test_videos(folder)
    if not videos:
        raise UserError(
            f"{title}: {folder.absolute()} holds no video (names that end in {', '.join(VIDEO_SUFFIXES)}). {remedy}"
        )
    return videos
