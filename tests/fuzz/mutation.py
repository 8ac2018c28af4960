"""Seeded random mutations of a file's content."""

import random
from collections.abc import Callable, Sequence

INTERESTING = [b"\0", b"\xff", b"\x7f", b"\x80", b"\0" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\0" * 8, b"\xff" * 8]
INTERESTING += [b"9" * 30, b"-1", b"1e999", b"NaN", b"../", b"\x1b[2J", b"{", b"[", b'"', b"\xff\xfe", "é".encode()]


def _flip(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data))
    data[place] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    place, content = rng.randrange(len(data)), rng.choice(INTERESTING)
    data[place : place + len(content)] = content


def _insert(data: bytearray, rng: random.Random) -> None:
    place = rng.randrange(len(data) + 1)
    data[place:place] = rng.choice(INTERESTING)


def _remove(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), min(len(data) - 1, rng.choice([1, 2, 8, 64, 1000]))
    del data[start : start + length]


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start, length = rng.randrange(len(data)), rng.choice([1, 8, 64, 1000])
    data[start:start] = data[start : start + length] * rng.choice([1, 1, 2, 50])


def _exchange(data: bytearray, rng: random.Random) -> None:
    length = min(len(data), rng.choice([1, 8, 64, 1000]))
    one, other = (rng.randrange(len(data) - length + 1) for _ in range(2))
    block = data[one : one + length]
    data[one : one + length] = data[other : other + length]
    data[other : other + length] = block


MUTATIONS: Sequence[Callable[[bytearray, random.Random], None]]
MUTATIONS = (_flip, _flip, _flip, _overwrite, _insert, _remove, _cut, _repeat, _exchange)
EDGE = 200  # bytes at both ends, where headers and footers are


def mutated(data: bytes, seed: str) -> bytes:
    """A copy with a few mutations, which depend on the seed alone; half of them near the ends of the file."""
    rng = random.Random(seed)
    result = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4, 16])):
        if not result:
            break
        mutate = rng.choice(MUTATIONS)
        if len(result) > 2 * EDGE and rng.random() < 0.5:
            at_end = rng.random() < 0.5
            edge = result[-EDGE:] if at_end else result[:EDGE]
            mutate(edge, rng)
            result[-EDGE if at_end else 0 : None if at_end else EDGE] = edge
        else:
            mutate(result, rng)
    return bytes(result)
