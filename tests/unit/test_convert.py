"""Other projects' names and layouts, without their software: what each tensor is called there is written out
here once more, from how those networks are built."""

import gzip
import random
import sys
import tarfile
import tempfile

import numpy as np
import pytest
import torch

from dfdc.networks.families import state_shapes
from dfdc.networks.settings import ARCHITECTURES
from dfdc.networks.weights.files import save_weights
from dfdc.networks.weights.pretrained import load_pretrained
from dfdc.networks.weights.tensorflow import _checkpoint_prefix, convert, variable_name
from dfdc.networks.weights.timm import from_timm
from dfdc.system.errors import UserError

# Of each stage of EfficientNet-B0: how many blocks.
STAGES = (1, 2, 2, 3, 3, 4, 1)
NORMALISATION = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def body(architecture):
    shapes = state_shapes(architecture, "frame")
    return {name: shape for name, shape in shapes.items() if not name.startswith("_fc.")}


def numbered_state(architecture):
    """A state in which every tensor holds different numbers."""
    numbers = torch.Generator().manual_seed(0)
    return {
        name: torch.tensor(7) if name.endswith("tracked") else torch.randn(shape, generator=numbers)
        for name, shape in body(architecture).items()
    }


def timm_b0_names():
    """(our layer, timm's layer, what it has) for every layer of tf_efficientnet_b0."""
    yield from (("_conv_stem", "conv_stem", ["weight"]), ("_bn0", "bn1", NORMALISATION))
    number = 0
    for stage, repeats in enumerate(STAGES):
        for index in range(repeats):
            ours, timm = f"_blocks.{number}", f"blocks.{stage}.{index}"
            if stage > 0:
                yield f"{ours}._expand_conv", f"{timm}.conv_pw", ["weight"]
                yield f"{ours}._bn0", f"{timm}.bn1", NORMALISATION
            yield f"{ours}._depthwise_conv", f"{timm}.conv_dw", ["weight"]
            yield f"{ours}._bn1", f"{timm}.bn2" if stage > 0 else f"{timm}.bn1", NORMALISATION
            yield f"{ours}._se_reduce", f"{timm}.se.conv_reduce", ["weight", "bias"]
            yield f"{ours}._se_expand", f"{timm}.se.conv_expand", ["weight", "bias"]
            yield f"{ours}._project_conv", f"{timm}.conv_pwl" if stage > 0 else f"{timm}.conv_pw", ["weight"]
            yield f"{ours}._bn2", f"{timm}.bn3" if stage > 0 else f"{timm}.bn2", NORMALISATION
            number += 1
    yield from (("_conv_head", "conv_head", ["weight"]), ("_bn1", "bn2", NORMALISATION))


@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_timms_weights_of_b0(tmp_path, suffix):
    state = numbered_state("efficientnet-b0")
    theirs = {f"{timm}.{leaf}": state[f"{ours}.{leaf}"] for ours, timm, leaves in timm_b0_names() for leaf in leaves}
    theirs |= {"classifier.weight": torch.ones(1000, 1280), "classifier.bias": torch.ones(1000)}
    path = tmp_path / f"model.{suffix}"
    if suffix == "bin":
        torch.save(theirs, path)
    else:
        save_weights(path, dict(sorted(theirs.items())), {"format": "pt"})
    loaded = load_pretrained(path, "efficientnet-b0")
    assert list(loaded) == list(state)
    assert all(torch.equal(loaded[name], value) for name, value in state.items())


def test_timms_blocks_are_numbered_by_number_not_by_name():
    """B7's later stages have more than ten blocks: 10 comes after 9."""
    state = {"conv_stem.weight": torch.zeros(1)}
    for index in range(12):
        state[f"blocks.0.{index}.conv_dw.weight"] = torch.tensor(index)
    state["blocks.1.0.conv_dw.weight"] = torch.tensor(12)
    renamed = from_timm(dict(sorted(state.items())))
    assert [renamed[f"_blocks.{n}._depthwise_conv.weight"].item() for n in range(13)] == list(range(13))


def test_timms_weights_of_another_network_are_refused(tmp_path):
    state = {f"{timm}.{leaf}": torch.ones(2) for _, timm, leaves in timm_b0_names() for leaf in leaves}
    save_weights(tmp_path / "other.safetensors", {**state, "blocks.0.0.attn.qkv.weight": torch.ones(1)}, {})
    with pytest.raises(UserError, match=r"not expected: _blocks\.0\.attn\.qkv\.weight"):
        load_pretrained(tmp_path / "other.safetensors", "efficientnet-b0")


# --- TensorFlow


def layer_names(architecture):
    """(our layer, TensorFlow's scope) for every layer, numbered by counting as TensorFlow does."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in body(architecture)))
    counts = {}
    for layer in layers:
        *block, own = layer.split(".")
        scope = f"blocks_{block[1]}" if block else ("stem" if own in ("_conv_stem", "_bn0") else "head")
        if own.startswith("_se_"):
            scope += "/se"
        kind = "tpu_batch_normalization" if own.startswith("_bn") else "conv2d"
        kind = "depthwise_conv2d" if own == "_depthwise_conv" else kind
        number = counts[scope, kind] = counts.get((scope, kind), -1) + 1
        yield layer, f"{scope}/{kind}" + (f"_{number}" if number else "")


def checkpoint(architecture, state):
    """The variables of a Noisy Student checkpoint: the averages, and raw ones that differ from them."""
    theirs = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    variables = {"global_step": np.int64(218_949)}
    for layer, scope in layer_names(architecture):
        for leaf in NORMALISATION:
            if f"{layer}.{leaf}" not in state or leaf == "num_batches_tracked":
                continue
            value = state[f"{layer}.{leaf}"].numpy()
            if "tpu_" in scope:
                name = theirs[leaf]
            elif leaf == "bias":
                name = "bias"
            elif "depthwise" in scope:
                name, value = "depthwise_kernel", np.moveaxis(value, (0, 1), (2, 3))
            else:
                name, value = "kernel", np.moveaxis(value, (1, 0), (2, 3))
            full = f"{architecture}/{scope}/{name}"
            variables[f"{full}/ExponentialMovingAverage"] = value
            variables[full] = value + 1
    variables[f"{architecture}/head/dense/kernel"] = np.zeros((1280, 1000), np.float32)
    return variables


@pytest.mark.parametrize("architecture", ["efficientnet-b1", "efficientnet-lite0"])
def test_averaged_variables_become_the_weights(architecture):
    state = numbered_state(architecture)
    variables = checkpoint(architecture, state)
    converted = convert(variables.__getitem__, set(variables), architecture, "here")
    assert converted.keys() == {name for name in state if not name.endswith("tracked")}
    for name, value in converted.items():
        assert value.is_contiguous()
        assert torch.equal(value, state[name]), name


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_variable_is_used_twice(architecture):
    shapes = body(architecture)
    used = [
        variable_name(name, f"{name.split('._')[0]}._expand_conv.weight" in shapes)
        for name in shapes
        if not name.endswith("tracked")
    ]
    assert len(set(used)) == len(used)


def test_some_names_as_published():
    assert variable_name("_conv_stem.weight", False) == "stem/conv2d/kernel"
    assert variable_name("_bn1.running_var", False) == "head/tpu_batch_normalization/moving_variance"
    assert variable_name("_blocks.0._project_conv.weight", False) == "blocks_0/conv2d/kernel"
    assert variable_name("_blocks.0._bn2.bias", False) == "blocks_0/tpu_batch_normalization_1/beta"
    assert variable_name("_blocks.9._expand_conv.weight", True) == "blocks_9/conv2d/kernel"
    assert variable_name("_blocks.9._project_conv.weight", True) == "blocks_9/conv2d_1/kernel"
    assert variable_name("_blocks.9._bn2.weight", True) == "blocks_9/tpu_batch_normalization_2/gamma"
    assert variable_name("_blocks.9._se_expand.bias", True) == "blocks_9/se/conv2d_1/bias"
    assert variable_name("_blocks.9._depthwise_conv.weight", True) == "blocks_9/depthwise_conv2d/depthwise_kernel"


def test_a_checkpoint_of_another_architecture_or_without_averages_is_refused():
    variables = set(checkpoint("efficientnet-b0", numbered_state("efficientnet-b0")))
    with pytest.raises(UserError, match=r"variables of efficientnet-b7.*it contains weights of efficientnet-b0\."):
        convert(None, variables, "efficientnet-b7", "here")
    raw = {name for name in variables if not name.endswith("Average")}
    with pytest.raises(UserError, match="stem/conv2d/kernel/ExponentialMovingAverage"):
        convert(None, raw, "efficientnet-b0", "here")
    with pytest.raises(UserError, match="it contains no EfficientNet"):
        convert(None, {"resnet/conv"}, "efficientnet-b0", "here")


def unpacked(path):
    with _checkpoint_prefix(path):
        pass


def test_a_tarball_that_would_fill_the_disk_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    header = tarfile.TarInfo("model.data-00000-of-00001")
    header.size = 20 * 10**9
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(header.tobuf() + bytes(2**20))
    with pytest.raises(UserError, match=r"bomb\.tar\.gz: the archive unpacks to more than"):
        unpacked(path)
    assert list((tmp_path / "tmp").rglob("*")) == []


@pytest.mark.parametrize("share", [0.0006, 0.01, 0.2, 0.5, 0.9])  # the first is in the first block
@pytest.mark.parametrize("form", ["w:gz", "w:bz2", "w:xz", "w"])
def test_a_tarball_that_is_cut_off(tmp_path, form, share):
    content = random.Random(0).randbytes(50_000)
    (tmp_path / "model.data-00000-of-00001").write_bytes(content)
    with tarfile.open(tmp_path / "whole", form) as archive:
        archive.add(tmp_path / "model.data-00000-of-00001", "model.data-00000-of-00001")
    whole = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(share * len(whole))])
    for read in (unpacked, lambda path: load_pretrained(path, "efficientnet-b0")):
        with pytest.raises(UserError, match=r"cut\.tar"):
            read(tmp_path / "cut.tar")


@pytest.mark.parametrize("form", ["folder", "tarball"])
def test_without_tensorflow_the_remedy_is_named(tmp_path, monkeypatch, form):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    source = tmp_path / "noisy-student-efficientnet-b7"
    source.mkdir()
    if form == "tarball":
        (source / "model.ckpt.index").write_bytes(b"x")
        with tarfile.open(tmp_path / "weights.tar.gz", "w:gz") as archive:
            archive.add(source, source.name)
        source = tmp_path / "weights.tar.gz"
    with pytest.raises(UserError, match=r"not installed.*pip install tensorflow-cpu.*model\.safetensors"):
        load_pretrained(source, "efficientnet-b7")
