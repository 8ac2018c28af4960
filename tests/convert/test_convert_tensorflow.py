"""A real TensorFlow checkpoint, written and read by TensorFlow, which `make test-convert` installs."""

import tarfile

import numpy as np
import pytest
import tensorflow as tf
import torch

from dfdc.networks.families import build_model, load_backbone
from dfdc.networks.weights.pretrained import load_pretrained
from dfdc.system.errors import UserError

AVERAGE = "/ExponentialMovingAverage"


class Network:
    """EfficientNet in TensorFlow; it makes its variables as it runs and numbers them as TensorFlow does.

    What a block adds to its input is kept small (``gain``): in a deep network of random weights the last bit
    of a number would otherwise decide the features.
    """

    def __init__(self, name, width, depth):
        self.name, self.width, self.depth = name, width, depth
        self.variables, self.counts, self.draw = {}, {}, np.random.default_rng(0)

    def channels(self, count):
        rounded = max(8, int(count * self.width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * count * self.width else rounded

    def layer(self, scope, kind):
        number = self.counts[scope, kind] = self.counts.get((scope, kind), -1) + 1
        return f"{self.name}/{scope}/{kind}" + (f"_{number}" if number else "")

    def variable(self, name, value):
        self.variables[name + AVERAGE] = value.astype(np.float32)
        return self.variables[name + AVERAGE]

    def convolve(self, x, scope, out, kernel=1, stride=1, bias=False):
        layer, fan_in = self.layer(scope, "conv2d"), kernel * kernel * x.shape[3]
        value = self.draw.normal(size=(kernel, kernel, x.shape[3], out)) * (2 / fan_in) ** 0.5
        x = tf.nn.conv2d(x, self.variable(f"{layer}/kernel", value), stride, "SAME")
        return x + self.variable(f"{layer}/bias", 0.1 * self.draw.normal(size=out)) if bias else x

    def depthwise(self, x, scope, kernel, stride):
        value = self.draw.normal(size=(kernel, kernel, x.shape[3], 1)) * (2 / kernel**2) ** 0.5
        weight = self.variable(f"{self.layer(scope, 'depthwise_conv2d')}/depthwise_kernel", value)
        return tf.nn.depthwise_conv2d(x, weight, [1, stride, stride, 1], "SAME")

    def normalise(self, x, scope, gain=1.0):
        layer = self.layer(scope, "tpu_batch_normalization")
        size = x.shape[3]
        gamma = self.variable(f"{layer}/gamma", gain * np.exp(0.1 * self.draw.normal(size=size)))
        beta = self.variable(f"{layer}/beta", 0.1 * self.draw.normal(size=size))
        mean = self.variable(f"{layer}/moving_mean", 0.1 * self.draw.normal(size=size))
        variance = self.variable(f"{layer}/moving_variance", np.exp(0.1 * self.draw.normal(size=size)))
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

    def block(self, x, scope, out, kernel, stride, ratio):
        before, inputs = x, x.shape[3]
        if ratio != 1:
            x = tf.nn.silu(self.normalise(self.convolve(x, scope, inputs * ratio), scope))
        x = tf.nn.silu(self.normalise(self.depthwise(x, scope, kernel, stride), scope))
        squeezed = tf.reduce_mean(x, [1, 2], keepdims=True)
        squeezed = tf.nn.silu(self.convolve(squeezed, f"{scope}/se", max(1, inputs // 4), bias=True))
        x = x * tf.nn.sigmoid(self.convolve(squeezed, f"{scope}/se", x.shape[3], bias=True))
        skips = stride == 1 and inputs == out
        x = self.normalise(self.convolve(x, scope, out), scope, 0.2 if skips else 1.0)
        return x + before if skips else x

    def features(self, x):
        x = tf.nn.silu(self.normalise(self.convolve(x, "stem", self.channels(32), 3, 2), "stem"))
        number = 0
        # repeats, kernel, stride of the first, expansion, channels of each of the seven stages
        for repeats, kernel, first, ratio, out in [
            (1, 3, 1, 1, 16),
            (2, 3, 2, 6, 24),
            (2, 5, 2, 6, 40),
            (3, 3, 2, 6, 80),
            (3, 5, 1, 6, 112),
            (4, 5, 2, 6, 192),
            (1, 3, 1, 6, 320),
        ]:
            for repeat in range(int(np.ceil(repeats * self.depth))):
                stride = first if repeat == 0 else 1
                x = self.block(x, f"blocks_{number}", self.channels(out), kernel, stride, ratio)
                number += 1
        return tf.nn.silu(self.normalise(self.convolve(x, "head", self.channels(1280)), "head"))

    def save(self, folder):
        """Write the averages, and beside them raw variables that would give other features."""
        raw = {name.removesuffix(AVERAGE): value + 1 for name, value in self.variables.items()}
        step = {"global_step": np.int64(1), f"{self.name}/head/dense/bias": np.zeros(1000, np.float32)}
        content = {**self.variables, **raw, **step}
        folder.mkdir()
        tf.raw_ops.SaveV2(
            prefix=str(folder / "model.ckpt"),
            tensor_names=list(content),
            shape_and_slices=[""] * len(content),
            tensors=[tf.constant(value) for value in content.values()],
        )
        (folder / "checkpoint").write_text('model_checkpoint_path: "model.ckpt"\n')


def archived(folder):
    path = folder.with_name(f"noisy_student_{folder.name}.tar.gz")
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        archive.add(folder, folder.name)
    return path


@pytest.mark.parametrize(
    ("architecture", "width", "depth"), [("efficientnet-b0", 1.0, 1.0), ("efficientnet-b7", 2.0, 3.1)]
)
def test_the_converted_network_computes_what_tensorflow_computes(tmp_path, architecture, width, depth):
    images = np.random.default_rng(1).normal(size=(1, 224, 192, 3)).astype(np.float32)
    network = Network(architecture, width, depth)
    expected = network.features(tf.constant(images)).numpy().transpose(0, 3, 1, 2)
    folder = tmp_path / f"noisy-student-{architecture}"
    network.save(folder)

    model = build_model(architecture, "frame", (224, 192)).eval()
    converted = load_pretrained(archived(folder), architecture)
    load_backbone(model, converted)
    with torch.inference_mode():
        features = model.extract_features(torch.from_numpy(images.transpose(0, 3, 1, 2)).contiguous()).numpy()
    scale = np.abs(expected).max()
    assert np.isfinite(scale)
    assert np.abs(expected).mean() > 1e-3
    assert np.abs(features - expected).max() < 1e-4 * scale
    from_folder = load_pretrained(folder, architecture)
    assert all(torch.equal(value, converted[name]) for name, value in from_folder.items())


def test_faults_are_told_in_words(tmp_path):
    network = Network("efficientnet-b0", 1.0, 1.0)
    network.features(tf.zeros((1, 64, 64, 3)))
    folder = tmp_path / "noisy-student-efficientnet-b0"
    network.save(folder)
    with pytest.raises(UserError, match="it contains weights of efficientnet-b0"):
        load_pretrained(folder, "efficientnet-b7")

    whole = archived(folder)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(UserError, match=r"cut\.tar\.gz.*(cannot be extracted|one TensorFlow checkpoint)"):
        load_pretrained(cut, "efficientnet-b0")

    data = next(folder.glob("*.data-*"))
    data.write_bytes(data.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        load_pretrained(folder, "efficientnet-b0")
    (folder / "model.ckpt.index").write_bytes(b"nonsense")
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        load_pretrained(folder, "efficientnet-b0")
    (folder / "model.ckpt.index").unlink()
    with pytest.raises(UserError, match="expected one TensorFlow checkpoint"):
        load_pretrained(folder, "efficientnet-b0")
