"""Check that tensors match a network, and identify them if they do not."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dfdc.networks.families import family_of, state_shapes
from dfdc.networks.settings import ARCHITECTURES, KINDS
from dfdc.system.errors import UserError

_COUNTER = "num_batches_tracked"
# Of an EfficientNet, whose weights are recognised.
(_HEAD,) = family_of("efficientnet-b0").head("efficientnet-b0")
_SHOWN = 3
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def matched(
    state: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], source: Path, expected: str
) -> dict[str, Tensor]:
    """The tensors of ``state`` in the order of ``wanted``, as float32, if names and shapes match.

    ``expected`` describes the expected weights. Missing ``num_batches_tracked`` tensors, which are not used here, are
    set to 0. Raises UserError with the first few differences and their likely cause, or if a value is not finite.
    """
    state = {**{name: torch.tensor(0) for name in wanted if name.endswith(_COUNTER)}, **state}
    differences = [
        *_listed("missing", [name for name in wanted if name not in state]),
        *_listed("not expected", [name for name in state if name not in wanted]),
        *_listed(
            "with another shape",
            [
                f"{name} {tuple(state[name].shape)} instead of {shape}"
                for name, shape in wanted.items()
                if name in state and tuple(state[name].shape) != shape
            ],
        ),
    ]
    if differences:
        raise UserError(
            f"{source}: these are not {expected}. {_cause(state, wanted)} Tensors {'; '.join(differences)}."
        )
    if other := [f"{name} ({state[name].dtype})" for name in wanted if not _is_fit(name, state[name])]:
        raise UserError(
            f"{source}: these are not {expected}: weights must be floating-point numbers, but "
            f"{', '.join(other[:_SHOWN])} is not. Quantised weights are not supported."
        )
    result = {name: state[name].to(_dtype(name)) for name in wanted}
    for name, value in result.items():
        if not value.isfinite().all():
            raise UserError(
                f"{source}: a value of {name} is not a finite number, so these weights cannot be used; "
                "the file is damaged or the training diverged. Download or train the weights again."
            )
    return result


def _dtype(name: str) -> torch.dtype:
    return torch.int64 if name.endswith(_COUNTER) else torch.float32


def _is_fit(name: str, value: Tensor) -> bool:
    """Whether a tensor is dense, and holds floating-point numbers (or integers, if it is a counter)."""
    fit = value.dtype == torch.int64 if name.endswith(_COUNTER) else value.dtype in _FLOATS
    return fit and value.layout == torch.strided


def _listed(fault: str, items: list[str]) -> list[str]:
    if not items:
        return []
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return [f"{fault}: {', '.join(items[:_SHOWN])}{more}"]


def _cause(state: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]]) -> str:
    """What the tensors appear to be, and how to fix the error."""
    network = _identify(state)
    if network is None:
        return "They do not match any supported network: name another file."
    looks = "They look like weights of a {1} model of {0}".format(*network)
    if _body(wanted) != _body(state_shapes(*network)):
        return f"{looks}: name another file, or correct the architecture or kind in the configuration."
    if f"{_HEAD}weight" in state:
        looks = f"{looks} with {len(state[f'{_HEAD}weight'])} outputs"
    else:
        looks = f"{looks} without its last layer"
    return f"{looks}: a training can start from them, but they cannot score videos. Name finished weights."


def _identify(state: Mapping[str, Tensor]) -> tuple[str, str] | None:
    shapes = _body({name: tuple(value.shape) for name, value in state.items()})
    for architecture in ARCHITECTURES:
        for kind in KINDS:
            if _body(state_shapes(architecture, kind)) == shapes:
                return architecture, kind
    return None


def _body(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in shapes.items() if not name.startswith(_HEAD) and not name.endswith(_COUNTER)}
