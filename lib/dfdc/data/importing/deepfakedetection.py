"""DeepFakeDetection, which is published with FaceForensics++: scenes with actors, and their fakes."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dfdc.data.importing.found import Collection, Found, check_root, videos_in

METHOD = "DeepFakeDetection"
REAL = re.compile(r"(\d+)__(.+)")
# The actor whose face was replaced, the one whose face it got, the scene, and a name for the try.
FAKE = re.compile(r"(\d+)_(\d+)__(.+)__([A-Z0-9]+)")


@dataclass(frozen=True)
class DeepFakeDetection:
    """Option: the compression."""

    compression: str = "c23"

    title: ClassVar[str] = METHOD
    only_test: ClassVar[bool] = False

    def find(self, source: Path) -> Collection:
        """The original videos, 01__exit_phone_room.mp4, and their fakes, 01_02__exit_phone_room__ABCDEFGH.mp4."""
        actors, fakes = f"original_sequences/actors/{self.compression}/videos", "manipulated_sequences/" + METHOD
        fakes = f"{fakes}/{self.compression}/videos"
        check_root(self.title, source, ("original_sequences", "manipulated_sequences"))
        remedy = "Download it, or choose another --compression."
        found = Collection()
        for path in videos_in(self.title, source / actors, remedy):
            if match := REAL.fullmatch(path.stem):
                found.videos.append(Found(path, path.name, False, people=frozenset([match[1]])))
            else:
                found.left_out[path] = "its name is not that of an actor and a scene, such as 01__exit_phone_room"
        for path in videos_in(self.title, source / fakes, remedy):
            if match := FAKE.fullmatch(path.stem):
                original, people = f"{match[1]}__{match[3]}{path.suffix}", frozenset(match.group(1, 2))
                found.videos.append(Found(path, path.name, True, original, METHOD, people))
            else:
                found.left_out[path] = (
                    "its name is not that of two actors, a scene and a try, such as 01_02__exit_phone_room__ABCDEFGH"
                )
        return found
