"""The preview of DFDC, published in 2019: two methods, with all videos in one dataset.json."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from dfdc.data.importing.found import Collection, Found, check_root
from dfdc.data.parts import is_video, read_entries
from dfdc.system.errors import UserError

LIST = "dataset.json"


@dataclass(frozen=True)
class DfdcPreview:
    """Option: the split, ``train`` or ``test``."""

    split: str | None = None

    title: ClassVar[str] = "the preview of DFDC"
    only_test: ClassVar[bool] = False

    def find(self, source: Path) -> Collection:
        """The originals, 1260311_C_001.mp4, and the fakes, 1255229_1260311_C_001_method_B.mp4.

        A fake is in a folder of its method, in one of the person and the scene that it shows (1260311/1260311_C); the
        original is the clip of that person and scene with the same number.
        """
        check_root(self.title, source, (LIST,))
        found = Collection()
        for where, entry in read_list(source / LIST).items():
            if self.split and entry["set"] != self.split:
                continue
            path = PurePosixPath(where)
            people = frozenset(str(entry[key]) for key in ("target_id", "swapped_id") if entry.get(key) is not None)
            if entry["label"] == "real":
                found.videos.append(Found(source / path, path.name, False, people=people))
            else:
                method, number = path.parts[0], path.stem.rpartition("_")[2]
                original = f"{path.parent.name}_{number}{path.suffix}"
                name = f"{path.stem}_{method}{path.suffix}"
                found.videos.append(Found(source / path, name, True, original, method, people))
        return found


def read_list(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of dataset.json: {path: {label, set, …}}. Raises UserError if it is something else."""
    try:
        entries = read_entries(path)
        for where, entry in entries.items():
            parts = PurePosixPath(where).parts
            if where.startswith("/") or ".." in parts or "\0" in where or not is_video(where) or not where.encode():
                raise ValueError(f"{where!r} is not the path of a video in the data set")
            if entry["label"] not in ("real", "fake") or entry["set"] not in ("train", "test"):
                raise ValueError(f"{where!r} has another label than real and fake, or another set than train and test")
        if not entries:
            raise ValueError("it is empty")
        return entries
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path} is not the list of videos of the preview of DFDC ({error!r}). Extract the archive again."
        ) from error
