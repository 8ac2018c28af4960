"""Settings for training."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from dfdc.networks.settings import Architecture, ModelKind
from dfdc.stages.training.augment.settings import MixtureSettings
from dfdc.system.settings import Count, Positive, Settings, Whole
from dfdc.video.settings import RecompressionSettings

Decay = Annotated[float, Gt(0), Lt(1)]


@dataclass(frozen=True)
class StepSettings(Settings):
    """The steps of a training: their number, their batches, and the optimiser."""

    iterations: Count
    """The number of iterations."""
    batch_pairs: Count
    """Pairs of clips in a batch."""
    warmup_iterations: Whole
    """In these first iterations only the last layer is trained."""
    learning_rate: Positive
    """The learning rate of SGD with Nesterov momentum; it falls linearly to 0 after the warm-up."""
    momentum: Decay
    """The momentum of SGD."""
    weight_decay: Annotated[float, Ge(0)]
    """The weight decay of SGD."""
    ema: Decay | None
    """The decay of an exponential moving average of the weights (for example 0.999), which then becomes the result;
    null turns it off, as published."""
    clip_gradient: Positive | None
    """The maximum gradient norm; null turns clipping off, as published."""
    accumulate: Count
    """Gradient accumulation: a batch passes through the network in this many pieces, to save memory. Batch norm sees
    one piece at a time."""
    precision: Literal["bf16", "fp32"]
    """bf16 or fp32: the precision on a GPU. A CPU always computes in fp32."""
    compile: bool
    """Whether to compile the network on a GPU (torch.compile), which takes minutes and makes steps faster. A compiled
    network rounds differently and draws other dropout masks, so the weights differ. Not with several GPUs per model."""

    def contradictions(self) -> Iterator[tuple[str, str]]:
        """A training that ends during the warm-up."""
        if self.warmup_iterations >= self.iterations:
            yield "warmup_iterations", f"must be less than iterations ({self.iterations})"


@dataclass(frozen=True)
class ClipRecompression(RecompressionSettings):
    """How clips are recompressed for training."""

    whole_clip: bool
    """true: all frames of a clip are encoded, as published; false: only up to the last frame that a model takes."""
    variants: Annotated[int, Ge(0), Le(64)]
    """Each pair is recompressed this many times before training, which then only decodes; 0: anew at each visit, as
    published, which takes most of the core time of training."""


@dataclass(frozen=True)
class TrainingSettings(MixtureSettings, StepSettings):
    """How every model is trained: the section `training`."""

    recompression: ClipRecompression


@dataclass(frozen=True)
class MeasurementSettings(Settings):
    """Validation during a training."""

    every: Whole
    """Iterations between validations during training; 0 for none."""
    pairs: Count
    """The maximum number of pairs to validate on."""


@dataclass(frozen=True)
class TrainSettings(StepSettings):
    """Everything that the result of a training depends on, besides its samples and its code."""

    architecture: Architecture
    kind: ModelKind
    validate_every: Whole
