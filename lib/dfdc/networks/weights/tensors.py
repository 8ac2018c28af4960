"""Safetensors files with a checksum of the whole file in their metadata, which other tools read as any other entry."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

CHECKSUM = "checksum"
# What the checksum is computed with in its own place.
_NONE = "0" * 32
_BLOCK = 2**20


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors on the CPU, metadata and a checksum; the same content gives the same bytes."""
    save_file(dict(tensors), path, {**metadata, CHECKSUM: _NONE})
    # The library lets only the user who wrote it read a file.
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        # The library writes metadata in an order that changes from run to run.
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise RuntimeError(f"the header of {path} takes {len(text)} bytes instead of {length}")
        text = text.ljust(length)
        file.seek(8)
        file.write(text)
        checksum = _checksum(file)
        file.seek(8 + _place(text))
        file.write(checksum.encode())


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of any safetensors file, which are not verified. Raises ValueError if it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(str(error)) from error


def read_safetensors(path: Path, own: bool = False) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, on the CPU, and the metadata of a safetensors file, verified if it has a checksum.

    ``own``: it was written by ``write_tensors``. Raises ValueError with the reason if the file is damaged.
    """
    metadata = read_metadata(path)
    if own and CHECKSUM not in metadata:
        raise ValueError("it has no checksum: it was written by other software, or has changed since")
    if CHECKSUM in metadata:
        with path.open("rb") as file:
            if metadata[CHECKSUM] != _checksum(file):
                raise ValueError("its content does not match its checksum")
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise ValueError(str(error)) from error


def _checksum(file: BinaryIO) -> str:
    """The checksum of an open file, computed as if that in its header were ``_NONE``."""
    file.seek(0)
    start = file.read(8)
    header = bytearray(file.read(int.from_bytes(start, "little")))
    if (place := _place(header)) < 0:
        raise ValueError("its checksum is not where it is written")
    header[place : place + len(_NONE)] = _NONE.encode()
    digest = hashlib.blake2b(start + header, digest_size=len(_NONE) // 2)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def _place(header: bytes) -> int:
    """Where the checksum is in a header as ``write_tensors`` writes it; negative if it is not there."""
    key = f'"{CHECKSUM}":"'.encode()
    found = header.find(key)
    return found + len(key) if found >= 0 else -1
