"""FaceForensics++: 1000 YouTube videos, and their fakes by several methods."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dfdc.data.importing.found import Collection, Found, check_root, videos_in
from dfdc.data.parts import read_entries
from dfdc.system.errors import UserError

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "FaceShifter", "NeuralTextures")
COMPRESSIONS = ("raw", "c23", "c40")
# The name of a fake: the video that was changed, and the one whose face or expression it got.
FAKE = re.compile(r"(\d{3})_(\d{3})")


@dataclass(frozen=True)
class FaceForensics:
    """Options: the methods (none: those that are there), the compression, and a JSON file with a list of pairs of
    videos, which are then the only ones (the official split has three of these)."""

    methods: Sequence[str] = ()
    compression: str = "c23"
    split: str | None = None

    title: ClassVar[str] = "FaceForensics++"
    only_test: ClassVar[bool] = False

    def find(self, source: Path) -> Collection:
        """The original videos, 071.mp4, and their fakes, 071_054_Deepfakes.mp4. The two numbers stand for people."""
        check_root(self.title, source, ("original_sequences", "manipulated_sequences"))
        chosen = read_split(Path(self.split)) if self.split else None
        found = Collection()
        originals = self._folder(source / "original_sequences" / "youtube")
        for path in videos_in(self.title, originals, self._remedy(originals)):
            if chosen is None or any(path.stem in pair for pair in chosen):
                found.videos.append(Found(path, path.name, False, people=frozenset([path.stem])))
        for method in self.methods or self._present(source):
            folder = self._folder(source / "manipulated_sequences" / method)
            for path in videos_in(self.title, folder, self._remedy(folder)):
                if not (match := FAKE.fullmatch(path.stem)):
                    found.left_out[path] = "its name is not that of two videos, such as 071_054"
                elif chosen is None or frozenset(match.groups()) in chosen:
                    target, people = f"{match[1]}{path.suffix}", frozenset(match.groups())
                    name = f"{path.stem}_{method}{path.suffix}"
                    found.videos.append(Found(path, name, True, target, method, people))
        return found

    def _folder(self, sequences: Path) -> Path:
        return sequences / self.compression / "videos"

    def _present(self, source: Path) -> list[str]:
        present = [method for method in METHODS if self._folder(source / "manipulated_sequences" / method).is_dir()]
        if not present:
            looked = self._folder(source.absolute() / "manipulated_sequences" / "METHOD")
            raise UserError(
                f"{self.title}: there are no fakes: none of {', '.join(METHODS)} has a folder {looked}. Download one, "
                f"or choose another --compression ({', '.join(COMPRESSIONS)})."
            )
        return present

    def _remedy(self, folder: Path) -> str:
        others = [name for name in COMPRESSIONS if (folder.parent.parent / name / "videos").is_dir()]
        others = [name for name in others if name != self.compression]
        if others:
            return f"There is another compression: --compression {others[0]}."
        return (
            "Download it, with the download script of the data set and its option -t videos, or leave out the method."
        )


def read_split(path: Path) -> set[frozenset[str]]:
    """The pairs of video numbers in a file of the official split: [["071", "054"], …].

    Raises UserError if it cannot be read or is something else.
    """
    try:
        pairs = read_entries(path)
        if not pairs or not all(len(pair) == 2 and all(isinstance(one, str) for one in pair) for pair in pairs):
            raise ValueError("not a list of pairs of strings")
        return {frozenset(pair) for pair in pairs}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f'--split {path}: cannot be read ({error}). It must be a JSON file such as [["071", "054"], …]; the '
            "official ones are train.json, val.json and test.json."
        ) from error
