"""What is fuzzed: each reader with sound files, and what it may make of damaged ones."""

import contextlib
import io
import json
import shutil
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from samples import moving, write_clips, write_video

from dfdc.cli.main import build_parser
from dfdc.config.check import check_config
from dfdc.config.reading import merged, read_yaml
from dfdc.data.labels import read_details
from dfdc.data.parts import read_metadata
from dfdc.data.pictures.store import Store
from dfdc.data.schemas.scores import SCORES
from dfdc.data.tables import read_table, write_table
from dfdc.networks.weights.files import read_tensors, read_weights_metadata, save_weights
from dfdc.networks.weights.tensorflow import _checkpoint_prefix, is_checkpoint
from dfdc.stages.training.checkpoint import TrainingState, save_checkpoint
from dfdc.stages.training.checkpoint import _read as read_checkpoint_file
from dfdc.system.checksums import read_json, write_json
from dfdc.system.errors import UserError, VideoError
from dfdc.system.jobs.records.accepted import ACCEPTED, read_accepted, record_accepted
from dfdc.video.counting import count_frames
from dfdc.video.images import read_image
from dfdc.video.reading import open_video, read_frames

ROOT = Path(__file__).resolve().parents[2]
STATE = {"layer.weight": torch.arange(300.0).reshape(20, 15), "layer.bias": torch.ones(7)}


@dataclass(frozen=True)
class Reader:
    """A reader, and how to write sound files for it.

    ``exact``: whatever is read without an error must be what was written, because the file has a checksum.
    """

    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    suffix: str
    exact: bool = False
    errors: tuple[type[Exception], ...] = (UserError,)


def _table(path: Path) -> None:
    names = [f"video{number}.mp4" for number in range(40)]
    columns = {"video": names, "track": range(40), "frame": range(40), "probability": [n / 40 for n in range(40)]}
    write_table(path, SCORES, columns)


def _read_store(path: Path) -> list[bytes]:
    store = Store(path)
    return [picture.tobytes() for clip in range(len(store)) for picture in store.read(clip)]


def _read_video(path: Path) -> int:
    video = open_video(path, 2**22)
    sampled = read_frames(video, lambda index: index % 6 == 0, counted=count_frames(video))
    if any(frame.size == 0 for _, frame in sampled):
        return 0
    return sum(frame.size > 0 for _, frame in read_frames(video))


def _tensors(tensors: dict[str, torch.Tensor]) -> list[tuple[str, str, bytes]]:
    return [
        (name, str(value.dtype), value.contiguous().view(-1).numpy().tobytes())
        for name, value in sorted(tensors.items())
    ]


def _read_weights(path: Path) -> Any:
    return read_weights_metadata(path), _tensors(read_tensors(path, own=True))


def _read_foreign(path: Path) -> int:
    read_weights_metadata(path)
    return len(read_tensors(path))


def _checkpoint(path: Path) -> None:
    model = torch.nn.Linear(4, 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    state = TrainingState(model, torch.optim.SGD(model.parameters(), lr=0.1))
    save_checkpoint(path.parent / "of", 3, state, {"loss": torch.zeros(3)}, 1)
    (path.parent / "of/checkpoint_00000003.safetensors").replace(path)


def _read_checkpoint(path: Path) -> Any:
    iteration, parts = read_checkpoint_file(path)
    return iteration, {part: _tensors(tensors) for part, tensors in parts.items()}


def _tar(path: Path) -> None:
    for name in ("model.index", "model.data-00000-of-00001"):
        (path.parent / name).write_bytes(np.arange(3000, dtype=np.int32).tobytes())
    with tarfile.open(path, "w:gz") as archive:
        for name in ("model.index", "model.data-00000-of-00001"):
            archive.add(path.parent / name, f"noisy/{name}")


def _read_tar(path: Path) -> bool:
    if is_checkpoint(path):
        with _checkpoint_prefix(path) as prefix:
            return prefix.name == "model"
    return False


ENTRIES = [{"date": "2026-11-24", "rule": name, "files": [f"results/{name}"]} for name in ("tracks", "scores")]


def _accept(path: Path) -> None:
    (path.parent / "results").mkdir(exist_ok=True)
    for entry in ENTRIES:
        record_accepted(path.parent, entry)
    (path.parent / ACCEPTED).replace(path)


METADATA = {"a.mp4": {"label": "REAL", "split": "train"}}
METADATA |= {f"f{n}.mp4": {"label": "FAKE", "original": "a.mp4", "split": "train"} for n in range(5)}
SETTINGS = {"training": {"iterations": 40, "learning_rate": 0.01}, "models": {"re": {"frames": [1, 3]}, "re2": None}}


def _read_settings(path: Path) -> None:
    changes = read_yaml(path)
    if not isinstance(changes, dict):
        raise UserError("not a mapping")
    config = merged(read_yaml(ROOT / "config.yaml"), changes)
    check_config(config)


# The lists that data sets come with, or users give, and the command that reads each with what is in its folder.
REAL = {"label": "real", "set": "train", "target_id": 1, "swapped_id": None}
FAKE = {"label": "fake", "set": "train", "target_id": 1, "swapped_id": 2, "augmentations": ["quality"]}
PREVIEW = {"original_videos/1/1_C_001.mp4": REAL, "method_A/1/1_C/2_1_C_001.mp4": FAKE}
PREVIEW |= {"method_B/1/1_C/2_1_C_001.mp4": FAKE | {"set": "test"}}
CELEBRITIES = ["YouTube-real/00001.mp4", "Celeb-real/id0_0000.mp4", "Celeb-synthesis/id0_id1_0000.mp4"]
YOUTUBE, FACESWAP = "original_sequences/youtube/c23/videos/{}.mp4", "manipulated_sequences/FaceSwap/c23/videos/{}.mp4"


@dataclass(frozen=True)
class Import:
    """A data set whose list is damaged: ``dfdc import`` with ``options``, among which are LIST and SOURCE."""

    options: str
    list: str
    content: str
    videos: tuple[str, ...]

    def write(self, path: Path) -> None:
        path.write_text(self.content)

    def read(self, path: Path) -> None:
        """Import the data set into a folder, outside of which nothing may be written."""
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, contextlib.redirect_stdout(io.StringIO()):
            source, made = Path(folder, "source"), Path(folder, "made")
            for name in self.videos:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes(b"video")
            shutil.copy(path, source / self.list)
            before = set(source.rglob("*"))
            options = self.options.replace("LIST", str(source / self.list)).replace("SOURCE", str(source)).split()
            parsed = build_parser(["import"]).parse_args(["import", *options[:2], str(made), *options[2:]])
            try:
                parsed.run(parsed)
            finally:
                assert set(source.rglob("*")) == before
                assert {entry.name for entry in Path(folder).iterdir()} <= {"source", "made"}
            for part in made.glob("*_part_*"):
                read_metadata(part / "metadata.json")


IMPORTS = {
    "import faceforensics": Import(
        "faceforensics SOURCE --split LIST",
        "val.json",
        json.dumps([["071", "054"], ["087", "081"]]),
        tuple(YOUTUBE.format(one) for one in ("071", "054")) + tuple(map(FACESWAP.format, ("071_054", "054_071"))),
    ),
    "import celeb-df": Import(
        "celeb-df SOURCE --split test",
        "List_of_testing_videos.txt",
        "".join(f"{int('synthesis' not in name)} {name}\n" for name in CELEBRITIES),
        (*CELEBRITIES, "Celeb-synthesis/id0_id2_0000.mp4"),
    ),
    "import dfdc-preview": Import("dfdc-preview SOURCE", "dataset.json", json.dumps(PREVIEW), tuple(PREVIEW)),
    "import dfdc-test": Import(
        "dfdc-test SOURCE",
        "labels.csv",
        "filename,label,original,method\na.mp4,0,,\nb.mp4,1,a.mp4,swap\n",
        ("a.mp4", "b.mp4", "c.mp4"),
    ),
    "import pairs": Import(
        "folders SOURCE --pairs LIST",
        "pairs.csv",
        "fake,original,method\nswap/a_1.mp4,a.mp4,\nb.mp4,b.mov,blend\n",
        ("real/a.mp4", "real/b.mov", "fake/swap/a_1.mp4", "fake/b.mp4"),
    ),
}

READERS = {
    "table": Reader(_table, lambda path: read_table(path, SCORES).to_pylist(), ".parquet", exact=True),
    "store": Reader(lambda path: write_clips(path, [3, 1, 2], 24), _read_store, ".arrow", exact=True),
    "weights": Reader(
        lambda path: save_weights(path, STATE, {"name": "re", "crop": {"width": 32}}),
        _read_weights,
        ".safetensors",
        exact=True,
    ),
    "checkpoint": Reader(_checkpoint, _read_checkpoint, ".safetensors", exact=True, errors=(ValueError, OSError)),
    "evaluation": Reader(
        lambda path: write_json(path, {"log_loss": 0.43, "of": [1, 2]}), read_json, ".json", exact=True
    ),
    "foreign safetensors": Reader(lambda path: save_file(STATE, path), _read_foreign, ".safetensors"),
    "foreign pth": Reader(lambda path: torch.save(STATE, path), _read_foreign, ".pth"),
    "tar": Reader(_tar, _read_tar, ".tar.gz"),
    "video": Reader(lambda path: write_video(path, moving(12, 48, 64)), _read_video, ".mp4", errors=(VideoError,)),
    **{
        kind: Reader(
            lambda path, kind=kind: Image.fromarray(moving(1, 48, 64)[0]).save(path, kind),
            lambda path: read_image(path, 2**22).picture.size,
            f".{kind}",
            errors=(VideoError,),
        )
        for kind in ("jpeg", "png", "webp")
    },
    "metadata": Reader(lambda path: path.write_text(json.dumps(METADATA)), read_metadata, ".json"),
    "labels": Reader(
        lambda path: path.write_text("filename,label,method\n" + "".join(f"v{n}.mp4,{n % 2},m\n" for n in range(9))),
        read_details,
        ".csv",
    ),
    "settings": Reader(lambda path: path.write_text(yaml.safe_dump(SETTINGS)), _read_settings, ".yaml"),
    # A line that is missing altogether is not noticed.
    "accepted": Reader(
        _accept, lambda path: [entry for entry in read_accepted(path) if entry not in ENTRIES], ".jsonl", exact=True
    ),
    **{name: Reader(each.write, each.read, Path(each.list).suffix) for name, each in IMPORTS.items()},
}


def try_reader(name: str, path: Path, expected: Any) -> str:
    """Read a mutated file; returns what is wrong with the outcome, or ""."""
    reader = READERS[name]
    warnings.simplefilter("ignore")
    try:
        result = reader.read(path)
    except reader.errors as error:
        return "" if str(error).strip() else "an error without a message"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "other data were read without an error" if reader.exact and result != expected else ""
