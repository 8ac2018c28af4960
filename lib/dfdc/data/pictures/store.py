"""Image stores: Arrow files in which each record batch is a clip and each row a PNG image.

A hundred thousand clips as folders of PNG files would be ten million files. A store is a single memory-mapped file with
random access to every image of every clip. What is read is verified, see ``dfdc.system.checksums``.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from isal import isal_zlib

from dfdc.data.pictures.decoding import decode_png
from dfdc.system.checksums import damaged, places_in, verify_checksum
from dfdc.system.errors import UserError


class StoredClip(Sequence[np.ndarray]):
    """The images of a clip as RGB uint8 arrays, decoded lazily."""

    def __init__(self, store: Path, clip: int, column: pa.BinaryArray) -> None:
        """Take the clip's PNG files, and where they come from."""
        self._store, self._clip, self._column = store, clip, column

    def __len__(self) -> int:
        """The number of images."""
        return len(self._column)

    def __getitem__(self, index: int) -> np.ndarray:
        """Decode an image. Raises UserError if it is damaged."""
        try:
            return decode_png(self._column[index].as_buffer())
        except ValueError as error:
            raise damaged(self._store, f"image {index} of clip {self._clip}: {error}") from error


class Store:
    """A store opened for reading. It can be pickled: another process opens the file itself."""

    def __init__(self, path: str | Path, mapped: bool = True) -> None:
        """Open a store, and map it into memory if ``mapped`` (mapped pages count as memory of the process).

        Raises UserError if it is missing, damaged or not a store.
        """
        self.path, self._mapped = Path(path), mapped
        try:
            with pa.memory_map(str(path)) as file:
                content = file.read_buffer()
            self._places = places_in(verify_checksum(memoryview(content)))
            self._content = content if mapped else None
            self._reader = pa.ipc.open_file(pa.BufferReader(content) if mapped else pa.OSFile(str(path)))
        except FileNotFoundError:
            raise UserError(f"The store {path} is missing. Run snakemake to generate it.") from None
        except (OSError, ValueError, pa.ArrowException) as error:
            raise damaged(self.path, f"it cannot be read as a store ({error})") from error

    def __reduce__(self) -> tuple:
        """Pickle as the path, because a memory map cannot be sent to another process."""
        return Store, (self.path, self._mapped)

    def __len__(self) -> int:
        """The number of clips."""
        return len(self._places)

    @property
    def column(self) -> str:
        """What the store holds: ``png`` pictures or ``h264`` streams."""
        return self._reader.schema.names[0]

    def length(self, clip: int) -> int:
        """The number of images in a clip."""
        return len(self.files(clip))

    def files(self, clip: int) -> pa.BinaryArray:
        """The PNG files of a clip. Raises UserError if the clip is damaged."""
        start, _, head, expected, _ = self._places[clip].tolist()
        if isal_zlib.crc32(self._bytes(start, head)) != expected:
            raise damaged(self.path, f"clip {clip} does not match its checksum")
        return self._reader.get_batch(clip).column(0)

    def clip(self, clip: int, length: int | None = None) -> StoredClip:
        """The first ``length`` images of a clip, or all, decoded lazily."""
        return StoredClip(self.path, clip, self.files(clip).slice(0, length))

    def read(self, clip: int, pictures: Iterable[int] | None = None) -> list[np.ndarray]:
        """The images of a clip at the indices ``pictures``, or all of them, as RGB uint8 arrays."""
        stored = self.clip(clip)
        return [stored[index] for index in (range(len(stored)) if pictures is None else pictures)]

    def streams(self, clip: int) -> list[bytes]:
        """The H.264 streams of a batch, in a store of streams. Raises UserError if one is damaged."""
        start, length, _, _, expected = self._places[clip].tolist()
        if isal_zlib.crc32(self._bytes(start, length)) != expected:
            raise damaged(self.path, f"the streams {clip} do not match their checksum")
        return self.files(clip).to_pylist()

    def damage(self) -> list[str]:
        """What is damaged, after reading all clips in full: a line for each clip."""
        found = []
        for clip, (start, length, _, _, expected) in enumerate(self._places.tolist()):
            if isal_zlib.crc32(self._bytes(start, length)) != expected:
                found.append(f"clip {clip} does not match its checksum")
        return found

    def _bytes(self, start: int, length: int) -> memoryview:
        if self._content is not None:
            return memoryview(self._content)[start : start + length]
        with self.path.open("rb") as file:
            file.seek(start)
            return memoryview(file.read(length))
