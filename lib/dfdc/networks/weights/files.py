"""Weights files: safetensors with metadata, and PyTorch files.

Neither is trusted: safetensors contain no code, and PyTorch files are loaded with ``weights_only``.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dfdc.networks.weights.metadata import faults_of_metadata
from dfdc.networks.weights.tensors import CHECKSUM, read_metadata, read_safetensors, write_tensors
from dfdc.system.checksums import verify_archive
from dfdc.system.errors import UserError
from dfdc.system.files import atomic_path

_NESTED = ("state_dict", "model")
_DAMAGED = "It is damaged or incomplete: download or generate it again."
# Bytes. The largest weights here, those of the detector DSFD, have half of it.
LARGEST = 2**30


def read_tensors(path: Path, own: bool = False) -> dict[str, Tensor]:
    """Every tensor in a safetensors or PyTorch file, by name, as stored, on the CPU.

    ``own``: it was written by ``save_weights``, and so must have a checksum. In a PyTorch file the tensors may be
    nested under "state_dict" or "model", and their names may start with "module." (added by DataParallel). Raises
    UserError if the file is missing, damaged or of another format.
    """
    if _is_safetensors(path):
        try:
            return read_safetensors(path, own)[0]
        except ValueError as error:
            raise UserError(f"{path}: the weights cannot be read ({error}). {_DAMAGED}") from error
    try:
        _check_size(path, _unpacked_size(path))
        verify_archive(path, LARGEST)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # torch raises various exceptions for invalid files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{path}: the weights cannot be read; this is neither a safetensors file nor a PyTorch file with "
            f"tensors only ({reason}). {_DAMAGED}"
        ) from error
    return _state_dict(content, path)


def save_weights(
    path: str | Path,
    state: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write weights to a safetensors file atomically; the same weights and metadata give the same bytes.

    Floating-point tensors are stored as ``dtype``, integer tensors unchanged. ``metadata`` must be JSON-serialisable.
    Raises UserError if a value is not finite or too large for ``dtype``.
    """
    stored = _stored(state, dtype)
    with atomic_path(path) as temporary:
        write_tensors(temporary, stored, {name: json.dumps(value, sort_keys=True) for name, value in metadata.items()})


def read_weights_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata that ``save_weights`` stored with the weights; empty for a PyTorch file.

    A value that is not JSON (other programs write plain text) is returned as a string. Raises UserError if the file is
    missing or damaged, or describes a model that cannot be built.
    """
    path = Path(path)
    if not _is_safetensors(path):
        return {}
    try:
        texts = read_metadata(path)
    except ValueError as error:
        raise UserError(f"{path}: the weights cannot be read ({error}). {_DAMAGED}") from error
    metadata = {name: _value(text) for name, text in texts.items() if name != CHECKSUM}
    if {"architecture", "kind"} <= metadata.keys() and (faults := list(faults_of_metadata(metadata))):
        raise UserError(f"{path}: the metadata of these weights are not valid: {'; '.join(faults)}. {_DAMAGED}")
    return metadata


def export_pth(path: str | Path, state: Mapping[str, Tensor], dtype: torch.dtype = torch.float16) -> None:
    """Write weights atomically as a PyTorch file with the names and precision of the published weights.

    Raises UserError if a value is not finite or too large for ``dtype``.
    """
    # A file object is passed because torch would write the name of a path, here the temporary one, into the file.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(_stored(state, dtype), file)


def _is_safetensors(path: Path) -> bool:
    if not path.exists():
        raise UserError(f"{path}: there is no such weights file; check the path in the configuration")
    if path.is_dir():
        raise UserError(f"{path}: this is a folder, but a weights file was expected; name the file in it")
    if not path.is_file():
        raise UserError(f"{path}: this is not a file that can be read, but a device or a pipe; name a weights file")
    _check_size(path, path.stat().st_size)
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _unpacked_size(path: Path) -> int:
    """The size of a PyTorch file without compression (PyTorch does not compress, others may)."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST:
        raise UserError(
            f"{path}: the weights take {size / 1e9:.1f} GB, more than those of any supported network; name another file"
        )


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    for name in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(
            f"{path}: this PyTorch file has no state dict (tensors by name), neither at the top level nor "
            f"under {' or '.join(_NESTED)}; save the network's state_dict() and name that file"
        )
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def _stored(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    stored = {}
    for name, value in state.items():
        kept = value.detach().cpu()
        if kept.is_floating_point():
            kept = kept.to(dtype)
            if not kept.isfinite().all():
                cause = f"too large for {dtype}" if value.isfinite().all() else "not a finite number"
                raise UserError(
                    f"the weights cannot be saved: a value of {name} is {cause}. The training has diverged; "
                    "train again with a lower learning rate"
                )
        stored[name] = kept.contiguous()
    return stored


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
