"""The settings of training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from dfdc.networks.settings import Architecture, ModelKind
from dfdc.stages.training.augment.settings import MixtureSettings
from dfdc.system.settings import Count, Positive, Settings, Whole
from dfdc.video.settings import RecompressionSettings

Decay = Annotated[float, Gt(0), Lt(1)]


@dataclass(frozen=True)
class StepSettings(Settings):
    """The steps of a training: their number, their batches, and how the weights are moved."""

    iterations: Count
    """How many steps there are."""
    batch_pairs: Count
    """Pairs of clips in a batch."""
    warmup_iterations: Whole
    """In the first iterations only the last layer is trained."""
    learning_rate: Positive
    """That of SGD with Nesterov momentum; it falls linearly to 0 after the warm-up."""
    momentum: Decay
    """That of SGD."""
    weight_decay: Annotated[float, Ge(0)]
    """That of SGD."""
    ema: Decay | None
    """The decay of a running average of the weights (0.999, say), which is then what comes out; null for none, as
    published."""
    clip_gradient: Positive | None
    """The norm to which longer gradients are shortened; null for none, as published."""
    accumulate: Count
    """A batch goes through the network in so many pieces, one after the other: less memory, and batch norm sees a
    piece."""
    precision: Literal["bf16", "fp32"]
    """How a GPU computes. A CPU always computes in fp32."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A training that never begins."""
        if self.warmup_iterations >= self.iterations:
            yield "warmup_iterations", f"must be less than iterations ({self.iterations})"


@dataclass(frozen=True)
class ClipRecompression(RecompressionSettings):
    """How the clips of a training are encoded again."""

    whole_clip: bool
    """true: all frames of a clip are encoded, as published; false: only as far as the last that the model takes."""


@dataclass(frozen=True)
class TrainingSettings(MixtureSettings, StepSettings):
    """How every model is trained: the section `training`."""

    recompression: ClipRecompression


@dataclass(frozen=True)
class MeasurementSettings(Settings):
    """How a training is measured on what is kept out of it."""

    every: Whole
    """A training measures itself every so many iterations; 0 for never."""
    pairs: Count
    """At most so many pairs are measured."""


@dataclass(frozen=True)
class TrainSettings(StepSettings):
    """What the result of a training depends on, besides its samples and its code."""

    architecture: Architecture
    kind: ModelKind
    validate_every: Whole
