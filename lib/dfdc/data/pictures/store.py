"""Stores of pictures: one Arrow file whose record batches are clips and whose rows are PNG pictures.

A hundred thousand clips as folders of PNG files would be ten million files. A store is one file, is mapped into
memory, and any picture of any clip can be read without reading the others.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfdc.data.pictures.decoding import decode_png
from dfdc.system.errors import UserError


class StoredClip(Sequence[np.ndarray]):
    """The pictures of a clip, RGB uint8 arrays, each decoded when it is asked for."""

    def __init__(self, column: pa.BinaryArray) -> None:
        """Take the PNG files of the clip's pictures."""
        self._column = column

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self._column)

    def __getitem__(self, index: int) -> np.ndarray:
        """A picture."""
        return decode_png(self._column[index].as_buffer())


class Store:
    """A store opened for reading. It can be sent to another process, which maps the file itself."""

    def __init__(self, path: str | Path) -> None:
        """Map a store. Raises UserError if it is missing or is not a store."""
        self.path = Path(path)
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(
                f"The store {path} is missing or broken ({error}). Delete it and run snakemake again: "
                "the stage that writes it will make it anew."
            ) from error

    def __reduce__(self) -> tuple:
        """Pickle as the path: what is mapped cannot go to another process."""
        return Store, (self.path,)

    def __len__(self) -> int:
        """The number of clips."""
        return self._reader.num_record_batches

    def length(self, clip: int) -> int:
        """The number of pictures in a clip."""
        return self._reader.get_batch(clip).num_rows

    def clip(self, clip: int, length: int | None = None) -> StoredClip:
        """The first ``length`` pictures of a clip, or all, to be decoded one by one."""
        return StoredClip(self._reader.get_batch(clip).column("png").slice(0, length))

    def read(self, clip: int, pictures: Iterable[int] | None = None) -> list[np.ndarray]:
        """Some pictures of a clip, or all of them, as RGB uint8 arrays."""
        chosen = self.clip(clip)
        return [chosen[index] for index in (range(len(chosen)) if pictures is None else pictures)]
