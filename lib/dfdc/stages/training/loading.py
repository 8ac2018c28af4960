"""Batches of training samples, loaded by worker processes."""

from collections.abc import Iterator

import numpy as np
import torch

from dfdc.stages.clips.reading import load
from dfdc.stages.training.samples import Batch, PairDataset, Sample, Schedule


def batches(dataset: PairDataset, schedule: Schedule, workers: int, pin_memory: bool = False) -> Iterator[Batch]:
    """The batches of a schedule, in order, loaded by ``workers`` processes (0: in this process)."""
    return load(workers, dataset, batch_sampler=schedule, collate_fn=_collate, pin_memory=pin_memory)


def _collate(samples: list[Sample]) -> Batch:
    return Batch(
        iteration=samples[0].place.iteration,
        pairs=[sample.place.pair for sample in samples],
        real=torch.from_numpy(np.concatenate([sample.real for sample in samples])),
        fake=torch.from_numpy(np.concatenate([sample.fake for sample in samples])),
        targets=torch.from_numpy(np.concatenate([sample.targets for sample in samples]).astype(np.float32)),
        erasings=[erasing for sample in samples for erasing in sample.erasings],
        noise=torch.from_numpy(np.concatenate([sample.noise for sample in samples])),
    )
