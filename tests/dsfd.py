"""Weights of the face detector DSFD drawn at random, for tests and benchmarks."""

import math
from pathlib import Path

import numpy as np
import torch

from dfdc.data.seeding import generator

# Every key of the public weights with its shape.
PUBLIC_STATE = {
    key: tuple(map(int, shape))
    for key, *shape in map(
        str.split, (Path(__file__).parent / "unit/data/dsfd_state_dict.txt").read_text().splitlines()
    )
}


def seeded_state() -> dict[str, torch.Tensor]:
    """Half-precision weights with which activations and scores stay moderate at all depths."""
    state = {}
    for key, shape in PUBLIC_STATE.items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
            continue
        values = 2 * generator(7, key).random(shape, dtype=np.float32) - 1
        if len(shape) == 4:
            small = key.startswith("smooth") or (key.startswith("loc") and ".conv4." in key)
            values *= math.sqrt(6 / math.prod(shape[1:])) * (0.1 if small else 1)
        elif key.endswith("running_var"):
            values = (1 + values / 2) * (20_000 if key.startswith("layer1.1.") else 1)
        elif key.endswith("weight"):
            values = (1 + values / 2) * (0.2 if ".bn3." in key else 1)
        else:
            values /= 10
        state[key] = torch.from_numpy(values).half()
    return state
