"""Renaming of an EfficientNet's tensors from timm's names to efficientnet-pytorch's.

timm numbers blocks within stages (``blocks.2.0``), efficientnet-pytorch numbers them consecutively. In timm a block's
batch normalisations are numbered from 1, and ``conv_pw`` is the expansion in blocks that have one, else the projection.
"""

from collections.abc import Mapping

from torch import Tensor

_OUTSIDE = {
    "conv_stem": "_conv_stem",
    "bn1": "_bn0",
    "conv_head": "_conv_head",
    "bn2": "_bn1",
    "classifier": "_fc",
}
_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_EXPANDING = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
    **_SQUEEZE,
}
_PLAIN = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2", **_SQUEEZE}


def is_timm(state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors have timm's names."""
    return "conv_stem.weight" in state


def from_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with efficientnet-pytorch's names. Tensors without a counterpart keep their names."""
    blocks = sorted({_block(name) for name in state if name.startswith("blocks.")})
    numbers = {block: number for number, block in enumerate(blocks)}
    renamed = {}
    for name, value in state.items():
        layer, _, leaf = name.rpartition(".")
        if name.startswith("blocks."):
            block = _block(name)
            expanding = f"blocks.{block[0]}.{block[1]}.conv_pwl.weight" in state
            inner = layer.split(".", 3)[3]
            inner = (_EXPANDING if expanding else _PLAIN).get(inner, inner)
            renamed[f"_blocks.{numbers[block]}.{inner}.{leaf}"] = value
        else:
            renamed[f"{_OUTSIDE.get(layer, layer)}.{leaf}"] = value
    return renamed


def _block(name: str) -> tuple[int, int]:
    stage, index = name.split(".")[1:3]
    return int(stage), int(index)
