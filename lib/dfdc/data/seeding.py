"""Random draws that depend on what they are about, and on nothing else."""

import hashlib

import numpy as np

Topic = str | int


def generator(seed: int, *topic: Topic) -> np.random.Generator:
    """A generator of random numbers that is a pure function of the seed and the topic.

    The same arguments give the same draws in any process, in any order, on any machine. Use one generator
    for each thing that is decided on its own: ``generator(seed, "clip window", real, fake, track)``.

    Topics are told apart by type as well as by value, and where one ends and the next begins matters:
    ``(1, "a")``, ``("1", "a")`` and ``("1a",)`` are three different topics.
    """
    parts = [part.item() if isinstance(part, np.generic) else part for part in (seed, *topic)]
    key = "\x1f".join(f"{type(part).__name__}:{len(str(part))}:{part}" for part in parts)
    digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
