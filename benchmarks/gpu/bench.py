"""What the sections share: how large everything is, the device, and the files made for them."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from clips import Clips
from settings import CONFIG, MODEL, published
from training import FRAMES, settings_of

from dfdc.networks.settings import CropPolicy
from dfdc.stages.training.samples import SampleSettings
from dfdc.stages.training.settings import TrainSettings


@dataclass(frozen=True)
class Sizes:
    """How large and how long everything is.

    ``seconds``: for the whole run; ``processes``: that load and decode, None for one a core; ``pairs`` of clips and
    ``variants`` of each; ``videos``: how many for each process; ``losses`` and ``resumed``: iterations of the proofs;
    ``steps`` of a round of timed steps; ``loaded``: iterations of a training with its loader; ``detector``: the size
    of DSFD's input, as ``detection.train.size``.
    """

    seconds: int
    processes: int | None
    architecture: str
    batch_pairs: int
    crop: CropPolicy
    pairs: int
    variants: int
    videos: int
    video_frames: int
    video_side: int
    losses: int
    resumed: int
    steps: int
    rounds: int
    loaded: int
    detector: int
    detector_batches: tuple[int, ...]


FULL = Sizes(
    seconds=530,
    processes=None,
    architecture="efficientnet-b7",
    batch_pairs=8,
    crop=published(CropPolicy),
    pairs=64,
    variants=4,
    videos=4,
    video_frames=150,
    video_side=1920,
    losses=50,
    resumed=18,
    steps=10,
    rounds=3,
    loaded=150,
    detector=512,
    detector_batches=(1, 4, 16, 32),
)
TINY = Sizes(
    seconds=1200,  # it takes about one minute, but a busy machine is no fault
    processes=1,
    architecture="efficientnet-b0",
    batch_pairs=2,
    crop=CropPolicy(smaller_side=48, pad=True, height=56, width=48),
    pairs=4,
    variants=1,
    videos=1,
    video_frames=60,
    video_side=640,
    losses=4,
    resumed=6,
    steps=1,
    rounds=2,
    loaded=4,
    detector=96,
    detector_batches=(1, 2),
)


@dataclass(frozen=True)
class Bench:
    """A run of the benchmark; its files are in ``folder``."""

    folder: Path
    sizes: Sizes
    weights: Path | None  # of DSFD, if there are any

    @property
    def device(self) -> torch.device:
        """The GPU, or the CPU if there is none."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def cores(self) -> int:
        """The cores that this process may use."""
        return len(os.sched_getaffinity(0))

    @property
    def processes(self) -> int:
        """Processes that load clips or decode videos."""
        return self.sizes.processes or self.cores

    @property
    def clips(self) -> Clips:
        """The clips that the trainings read."""
        return Clips(self.folder, self.sizes.pairs)

    @property
    def videos(self) -> Path:
        """The folder of the videos."""
        return self.folder / "videos"

    @property
    def detector_weights(self) -> Path:
        """The weights of DSFD, published or drawn."""
        return self.weights or self.folder / "dsfd.pth"

    def settings(self, kind: str, **changes: Any) -> TrainSettings:
        """The published settings of a training at this size, without warm-up."""
        return replace(settings_of(self.sizes.architecture, kind, self.sizes.batch_pairs), **changes)

    def samples(self, kind: str) -> SampleSettings:
        """The published settings of the samples at this size."""
        model = MODEL | {"kind": kind, "frames": FRAMES[kind], "crop": vars(self.sizes.crop)}
        return SampleSettings.of(model, CONFIG["training"])
