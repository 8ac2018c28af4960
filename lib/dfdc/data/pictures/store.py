"""Image stores: Arrow files in which each record batch is a clip and each row a PNG image.

A hundred thousand clips as folders of PNG files would be ten million files. A store is a single memory-mapped file with
random access to every image of every clip.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dfdc.data.pictures.decoding import decode_png
from dfdc.system.errors import UserError


class StoredClip(Sequence[np.ndarray]):
    """The images of a clip as RGB uint8 arrays, decoded lazily."""

    def __init__(self, column: pa.BinaryArray) -> None:
        """Take the clip's PNG files."""
        self._column = column

    def __len__(self) -> int:
        """The number of images."""
        return len(self._column)

    def __getitem__(self, index: int) -> np.ndarray:
        """Decode an image."""
        return decode_png(self._column[index].as_buffer())


class Store:
    """A store opened for reading. It can be pickled: another process maps the file itself."""

    def __init__(self, path: str | Path) -> None:
        """Map a store into memory. Raises UserError if it is missing or is not a store."""
        self.path = Path(path)
        try:
            self._reader = pa.ipc.open_file(pa.memory_map(str(path)))
        except (OSError, pa.ArrowInvalid) as error:
            raise UserError(
                f"The store {path} is missing or damaged ({error}). Delete it and run snakemake again to regenerate it."
            ) from error

    def __reduce__(self) -> tuple:
        """Pickle as the path, because a memory map cannot be sent to another process."""
        return Store, (self.path,)

    def __len__(self) -> int:
        """The number of clips."""
        return self._reader.num_record_batches

    def length(self, clip: int) -> int:
        """The number of images in a clip."""
        return self._reader.get_batch(clip).num_rows

    def clip(self, clip: int, length: int | None = None) -> StoredClip:
        """The first ``length`` images of a clip, or all, decoded lazily."""
        return StoredClip(self._reader.get_batch(clip).column("png").slice(0, length))

    def read(self, clip: int, pictures: Iterable[int] | None = None) -> list[np.ndarray]:
        """The images of a clip at the indices ``pictures``, or all of them, as RGB uint8 arrays."""
        stored = self.clip(clip)
        return [stored[index] for index in (range(len(stored)) if pictures is None else pictures)]
