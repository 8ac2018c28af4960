"""Conversions between table columns and numpy arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def boxes_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """A column of boxes as a float32 (or int32) numpy array of N x 4."""
    chunk = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, 4)


def encoded(column: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """The distinct strings of a column in order of first occurrence, and the index of each row's string."""
    words = column.combine_chunks().dictionary_encode()
    return words.dictionary.to_pylist(), words.indices.to_numpy(zero_copy_only=False)


def rows_by_key(*keys: np.ndarray) -> list[np.ndarray]:
    """The row numbers, ascending, of each distinct combination of integer keys, in order of first occurrence."""
    if not len(keys[0]):
        return []
    key = np.zeros(len(keys[0]), np.int64)
    for values in keys:
        key = key * (int(values.max()) + 1) + values
    codes = pa.array(key).dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def repeated(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """Each value repeated as often as its count, in order."""
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]
