"""The record from which an interrupted ``dfdc score`` continues: a line of JSON for each finished video."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from dfdc.cli.scoring.outputs import Summary
from dfdc.config.canonical import digest
from dfdc.networks.weights.find import Member
from dfdc.stages.prediction.scoring_settings import ScoringSettings
from dfdc.system.errors import UserError
from dfdc.system.files import sha256
from dfdc.system.jobs.provenance import code_of
from dfdc.system.versions import versions


class Record:
    """What is known of videos from earlier runs; results are found by the content of the video, whatever its name is,
    of the weights, the settings and the code."""

    def __init__(
        self, path: Path, members: Sequence[Member], settings: ScoringSettings, speed: Mapping[str, Any]
    ) -> None:
        """Read the record, if there is one. Raises UserError if it cannot be read or written, or is another file."""
        self._path = path
        models = [(member.name, sha256(member.path), member.model["score"]) for member in members]
        code = code_of(Path(__file__).parent.with_name("score.py"))
        self._how = digest(models, asdict(settings), speed, code, versions())
        self._keys: dict[Path, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a+b") as file:
                file.seek(0)
                *lines, broken = file.read().split(b"\n")
                self._known = dict(map(_entry, lines))
                if broken:  # the earlier run was killed while it wrote this line
                    file.truncate(sum(len(line) + 1 for line in lines))
        except OSError as error:
            fault = error.strerror or error
            raise UserError(f"--resume {path} cannot be written ({fault}). Name another file.") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise UserError(f"--resume {path} was not written by dfdc score ({error}). Name another file.") from error

    def of(self, video: Path, name: str) -> Summary | None:
        """The result of a video, under a name; None if it is not known."""
        try:
            self._keys[video] = f"{sha256(video)} {self._how}" if video.is_file() else ""
        except OSError:
            return None
        known = self._known.get(self.key(video))
        return known and replace(known, video=name)

    def key(self, video: Path) -> str:
        """What the result of a video that ``of`` was asked for is found by; "" if the video cannot be read."""
        return self._keys.get(video, "")

    def add(self, video: Path, summary: Summary) -> str:
        """Write down the result of a video, if ``of`` did not know it; returns what went wrong, or "".

        A video that could not be read is left out, and so tried again next time.
        """
        if summary.status == "unreadable" or not self.key(video) or self.key(video) in self._known:
            return ""
        line = json.dumps({"key": self.key(video), "result": asdict(summary)})
        try:
            with self._path.open("ab") as file:
                file.write(line.encode() + b"\n")
        except OSError as error:
            return f"--resume {self._path} cannot be written ({error.strerror}): {summary.video} is missing in it."
        return ""


def _entry(line: bytes) -> tuple[str, Summary]:
    entry = json.loads(line)
    result = entry["result"]
    if result.keys() != {field.name for field in fields(Summary)}:
        raise ValueError("other columns")
    return entry["key"], Summary(**{**result, **{key: tuple(result[key]) for key in ("doubts", "notes")}})
