"""Celeb-DF, versions 1 and 2: interviews with celebrities, their fakes, and other real videos."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dfdc.data.importing.found import Collection, Found, check_root, videos_in
from dfdc.system.errors import UserError

CELEBRITIES, OTHERS, FAKES = "Celeb-real", "YouTube-real", "Celeb-synthesis"
TEST_LIST = "List_of_testing_videos.txt"
REAL = re.compile(r"(id\d+)_(\d+)")
# The person in the video, the one whose face it got, and the number of the video.
FAKE = re.compile(r"(id\d+)_(id\d+)_(\d+)")
REMEDY = "Extract the archive of the data set again."


@dataclass(frozen=True)
class CelebDF:
    """Option: the split, ``test`` for the videos in List_of_testing_videos.txt, ``train`` for the others."""

    split: str | None = None

    title: ClassVar[str] = "Celeb-DF"
    only_test: ClassVar[bool] = False

    def find(self, source: Path) -> Collection:
        """The celebrities, id0_0000.mp4, the other real videos, 00000.mp4, and the fakes, id0_id1_0000.mp4."""
        check_root(self.title, source, (CELEBRITIES, OTHERS, FAKES))
        listed = read_test_list(source / TEST_LIST) if self.split else set()
        found = Collection()
        for folder in (CELEBRITIES, OTHERS, FAKES):
            for path in videos_in(self.title, source / folder, REMEDY):
                if self.split and (f"{folder}/{path.name}" in listed) != (self.split == "test"):
                    continue
                match = (FAKE if folder == FAKES else REAL).fullmatch(path.stem)
                if folder == OTHERS:
                    found.videos.append(Found(path, path.name, False))
                elif not match:
                    shape = "id0_id1_0000" if folder == FAKES else "id0_0000"
                    found.left_out[path] = f"its name is not of the form {shape}"
                elif folder == FAKES:
                    original, people = f"{match[1]}_{match[3]}{path.suffix}", frozenset(match.group(1, 2))
                    found.videos.append(Found(path, path.name, True, original, FAKES, people))
                else:
                    found.videos.append(Found(path, path.name, False, people=frozenset([match[1]])))
        return found


def read_test_list(path: Path) -> set[str]:
    """The paths in List_of_testing_videos.txt, whose lines are a label, 1 for real and 0 for fake, and a path.

    Raises UserError if it cannot be read, or has a label that contradicts the folder of the video.
    """
    try:
        if path.exists() and not path.is_file():  # to open a pipe would be to wait for somebody who writes into it
            raise OSError("it is not a file")
        lines = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        wrong = [" ".join(line) for line in lines if line[0] != ("0" if line[1].startswith(FAKES) else "1")]
        if not lines or wrong:
            raise ValueError(f"{wrong[0]!r} has the wrong label" if wrong else "it is empty")
    except (OSError, ValueError, IndexError) as error:
        raise UserError(
            f"{path} cannot be read ({error}). --split needs it, with lines such as '1 YouTube-real/00170.mp4' (1 for "
            f"real, 0 for fake). {REMEDY}"
        ) from error
    return {where.strip() for _, where in lines}
