"""The folder that ``dfdc score --html`` writes: a page and a JSON file for each video, and an index."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dfdc.cli.scoring.outputs import Summary, json_format
from dfdc.figures.scored.annotation import FrameReader
from dfdc.figures.scored.heatmap import HeatMapper
from dfdc.figures.scored.page.document import GENERATOR
from dfdc.figures.scored.page.entry import Entry, read_entry
from dfdc.figures.scored.page.html import Html
from dfdc.figures.scored.page.index import index_page, line_of
from dfdc.figures.scored.page.names import page_names
from dfdc.figures.scored.page.used import Used
from dfdc.figures.scored.page.verdict import Judgement, judge
from dfdc.figures.scored.page.video import Context, thumbnail_of, video_page
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.prediction.videos import VideoScore
from dfdc.system.errors import UserError
from dfdc.system.files import write_text
from dfdc.system.versions import own_version
from dfdc.video.images import is_image

# Seconds between writings of the index, which has all videos.
EVERY = 10.0
OTHER = 16_384  # characters of a page in which its head is looked for
OURS = '{\n  "detector":'  # what the numbers of a page begin with


class Pages:
    """Pages of scored videos. Each file is complete or not there; files of other names are left alone.

    The index is written at the beginning, at most every ``EVERY`` seconds as videos come, and by ``finish``. That of
    another run is left until the first video comes, if this run goes on after it.
    """

    def __init__(
        self,
        folder: Path,
        videos: Mapping[Path, str],
        about: Mapping[str, Any],
        members: Sequence[Member],
        config: Mapping[str, Any],
        ensemble: EnsembleSettings,
        purpose: str = "",
        goes_on: bool = False,
    ) -> None:
        """Create the folder; ``purpose`` is a warning for all pages, ``goes_on`` whether there may be pages to keep.

        Raises UserError if it cannot be written, or has files that must not be overwritten.
        """
        self._folder, self._videos, self._about = folder, videos, about
        self._names = page_names(videos.values())
        self._noun = "file" if any(map(is_image, videos)) else "video"
        self._purpose = purpose
        self._settings, self._frames = ensemble, FrameReader(config["data"]["video_timeout"])
        self._used = Used.of(members, config, own_version())
        self._entries: dict[Path, tuple[Entry, Html]] = {}
        self._due = -math.inf
        there = self._refuse_to_overwrite()
        try:
            if not (there and goes_on):
                self._write_index()
        except OSError as error:
            raise UserError(
                f"--html {folder} cannot be written ({error.strerror}). Name a folder, which is created."
            ) from error

    def keep(self, path: Path, key: str) -> bool:
        """Take a video into the index whose page was written by an earlier run, for the same ``key``.

        Returns whether its files are there; else it has to be scored again.
        """
        name = self._videos[path]
        page = self._folder / f"{self._names[name]}.html"
        entry = read_entry(page, key) if page.with_suffix(".json").is_file() else None
        if entry is None or (entry.name, entry.page) != (name, page.name):
            return False
        try:
            self._entries[path] = entry, line_of(entry)
        except (OSError, ValueError, TypeError):  # it was edited
            return False
        return True

    def add(self, video: VideoScore, summary: Summary, heat: HeatMapper | None, key: str = "") -> str:
        """Write the files of a video, while its pictures are there. Returns what went wrong, or "".

        By ``key`` a later run knows that the page was made of the same; without one it is made again.
        """
        short = self._names[self._videos[video.path]]
        page, numbers = f"{short}.html", f"{short}.json"
        judgement = judge(video, summary.verdict, summary.doubts)
        context = Context(self._settings, self._used, self._frames, heat, self._purpose)
        try:
            entry = self._entry(video, judgement, summary.video, page)
            kept = entry.kept(key) if key else None
            write_text(self._folder / numbers, json_format(self._about).text([summary]))
            write_text(self._folder / page, video_page(video, judgement, summary.video, numbers, context, kept))
            self._entries[video.path] = entry, line_of(entry)
            if time.monotonic() >= self._due:
                self._write_index()
        except (OSError, UserError) as error:
            return f"The page of {summary.video} could not be written: {error}"
        return ""

    def _entry(self, video: VideoScore, judgement: Judgement, name: str, page: str) -> Entry:
        row, judged = video.row, judgement.is_judged
        return Entry(
            name,
            page,
            judgement.words,
            judgement.probability if judged else None,
            len(video.tracks),
            row.frames / row.fps if row.frames and row.fps and not video.is_image else None,
            thumbnail_of(video, self._settings),
        )

    def finish(self) -> str:
        """Write the index of all videos so far. Nothing can be added after that. Returns like ``add``."""
        self._frames.close()
        try:
            self._write_index()
        except (OSError, UserError) as error:
            return f"The index {self._folder / 'index.html'} could not be written: {error}"
        return ""

    def _write_index(self) -> None:
        write_text(
            self._folder / "index.html",
            index_page(list(self._entries.values()), len(self._videos), self._purpose, self._noun),
        )
        self._due = time.monotonic() + EVERY

    def _refuse_to_overwrite(self) -> bool:
        """Raise UserError if a file that would be written is a video, or something else made what is there.

        Returns whether there is an index.
        """
        targets = [self._folder / f"{name}{suffix}" for name in self._names.values() for suffix in (".html", ".json")]
        index = self._folder / "index.html"
        inputs = {os.path.realpath(path) for path in self._videos}
        for target in (index, *targets):
            if os.path.realpath(target) in inputs:
                raise UserError(f"--html would overwrite the video {target}. Name another folder.")
            if _is_foreign(target):
                raise UserError(f"--html would overwrite {target}, which it has not written. Name another folder.")
        return index.is_file()


def _is_foreign(path: Path) -> bool:
    """Whether there is a file that is neither a page nor numbers of one; what is empty belongs to nobody."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            head = file.read(OTHER)
    except OSError:  # there is none, or what is there cannot be read, and so cannot be written either
        return False
    return bool(head) and not (head.startswith(OURS) if path.suffix == ".json" else GENERATOR in head)
