"""The test set of DFDC, published after the challenge: videos, and their labels in labels.csv."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dfdc.data.importing.found import Collection, Found, check_root, videos_in
from dfdc.data.labels import read_details
from dfdc.data.parts import test_video_names

LABELS = "labels.csv"
FOLDERS = (".", "videos", "test")  # where the videos may be, beside the labels or in a folder there


@dataclass(frozen=True)
class DfdcTest:
    """It has no options."""

    title: ClassVar[str] = "the test set of DFDC"
    only_test: ClassVar[bool] = True

    def find(self, source: Path) -> Collection:
        """The videos with a label; of those without a label, and of labels without a video, it is told."""
        check_root(self.title, source, (LABELS,))
        labels = read_details(source / LABELS)
        found = Collection()
        inside = [source / name for name in FOLDERS if (source / name).is_dir() and test_video_names(source / name)]
        folder = next(iter(inside), source)
        present = videos_in(self.title, folder, f"Put the videos beside {LABELS}, or into a folder videos there.")
        for path in present:
            if label := labels.get(path.name):
                original = "" if label.source == path.name else label.source
                found.videos.append(Found(path, path.name, bool(label.fake), original, label.method))
            else:
                found.left_out[path] = f"it has no label in {LABELS}"
        for name in sorted(labels.keys() - {path.name for path in present}):
            found.left_out[folder / name] = f"it is in {LABELS}, but not there"
        return found
