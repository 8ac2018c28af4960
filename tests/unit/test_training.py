import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import lively_model, pair_rows, sample_settings, write_clips

from dfdc.augment import erase_, mix, normalise
from dfdc.checkpoint import exclusive
from dfdc.dataset import PairDataset, Schedule, batches
from dfdc.draws import generator
from dfdc.errors import UserError
from dfdc.models import build_model, inflate, load_backbone
from dfdc.provenance import LIBRARY
from dfdc.tables import write_table
from dfdc.training import TrainSettings, learning_rate, train

PUBLISHED = TrainSettings("efficientnet-b7", "frame", 100_000, 8, 100, 0.005, 0.9, 1e-4)
TINY = TrainSettings("efficientnet-lite0", "frame", 6, 2, 2, 0.02, 0.9, 1e-4)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return {"part": write_clips(tmp_path_factory.mktemp("training") / "part.arrow", [6] * 10)}


@pytest.fixture(scope="module")
def backbone():
    return without_head(lively_model())


def without_head(model):
    return {name: value for name, value in model.state_dict().items() if not name.startswith("_fc.")}


def run(folder, stores, settings=TINY, pretrained=None, pairs=None, checkpoint_every=2, **samples):
    chosen = sample_settings(settings.kind, **samples)
    pairs = pair_rows(5, 6) if pairs is None else pairs
    return train(pairs, stores, pretrained, settings, chosen, folder, CPU, 0, checkpoint_every)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, stores):
    return run(tmp_path_factory.mktemp("reference"), stores)


def assert_same(one, other):
    assert one[0].keys() == other[0].keys()
    assert all(torch.equal(value, other[0][name]) for name, value in one[0].items())
    assert one[1] == other[1]


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [(1, 0.005), (100, 0.005), (101, 0.005 * 0.99999), (50_000, 0.005 * 0.501), (100_000, 0.005 * 0.001)],
)
def test_the_published_learning_rates(iteration, rate):
    assert learning_rate(PUBLISHED, iteration) == pytest.approx(rate, rel=1e-12)


def test_the_learning_rate_falls_in_equal_steps():
    rates = np.array([learning_rate(PUBLISHED, iteration) for iteration in range(1, 100_001)])
    assert (rates[:100] == 0.005).all()
    np.testing.assert_allclose(np.diff(rates[99:]), -0.005 / 100_000, rtol=1e-6)
    assert rates.min() > 0


def by_hand(stores, settings, samples, backbone):
    """The training written out: its own loss, warm-up, falling rate and Nesterov momentum."""

    def seeded(iteration):
        torch.manual_seed(int(generator(samples.seed, "torch", iteration).integers(2**63)))

    seeded(0)
    model = build_model(settings.architecture, settings.kind, (32, 32), len(samples.frames))
    load_backbone(model, backbone)
    weights, speed, losses = dict(model.named_parameters()), {}, []
    dataset = PairDataset(pair_rows(5, 6), stores, samples)
    for batch in batches(dataset, Schedule(5, settings.batch_pairs, samples.seed, 1, settings.iterations), 0):
        warm_up = batch.iteration <= settings.warmup_iterations
        model.train(not warm_up)
        trained = {name: weight for name, weight in weights.items() if name.startswith("_fc") or not warm_up}
        seeded(batch.iteration)
        mixed = erase_(mix(normalise(batch.real), normalise(batch.fake), batch.targets), batch.erasings)
        logits = model(mixed)[:, 0]
        likelihood = batch.targets * torch.sigmoid(logits).log() + (1 - batch.targets) * torch.sigmoid(-logits).log()
        loss = -likelihood.mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(trained.values()))
        past = max(0, batch.iteration - settings.warmup_iterations)
        rate = settings.learning_rate * (1 - past / settings.iterations)
        with torch.no_grad():
            for (name, weight), gradient in zip(trained.items(), gradients, strict=True):
                gradient = gradient + settings.weight_decay * weight
                speed[name] = gradient if name not in speed else settings.momentum * speed[name] + gradient
                weight -= rate * (gradient + settings.momentum * speed[name])
    return model.state_dict(), losses


@pytest.mark.parametrize(("kind", "frames"), [("frame", (1, 3)), ("sequence", (1, 2, 3))])
def test_a_training_against_one_written_out(tmp_path, stores, backbone, kind, frames):
    settings = TrainSettings("efficientnet-lite0", kind, 4, 2, 2, 0.0005, 0.9, 1e-2)
    state, metrics = run(tmp_path, stores, settings, backbone, frames=frames)
    expected, losses = by_hand(stores, settings, sample_settings(kind, frames), backbone)
    np.testing.assert_allclose(metrics["loss"], losses, rtol=1e-3)
    start = backbone if kind == "frame" else inflate(backbone)
    trained = [name for name in start if name.endswith(("weight", "bias"))]
    moved = sum((state[name] - start[name]).square().sum() for name in trained)
    apart = sum((state[name] - expected[name]).square().sum() for name in trained)
    # Rounding grows a thousandfold with each step of so small a network; another rate or momentum differs by far more.
    assert apart < 0.02 * moved


def test_the_warm_up_trains_the_last_layer_alone(tmp_path, stores, backbone):
    warm = TrainSettings("efficientnet-lite0", "frame", 2, 2, 2, 0.02, 0.9, 1e-4)
    state, _ = run(tmp_path / "warm", stores, warm, backbone)
    assert all(torch.equal(value, state[name]) for name, value in backbone.items())  # running means too
    more = TrainSettings("efficientnet-lite0", "frame", 3, 2, 2, 0.02, 0.9, 1e-4)
    state, _ = run(tmp_path / "more", stores, more, backbone)
    assert not any(torch.equal(value, state[name]) for name, value in backbone.items())


def test_metrics(tmp_path, uninterrupted):
    _, metrics = uninterrupted
    write_table(tmp_path / "metrics.parquet", "metrics", metrics)
    assert metrics["iteration"] == [1, 2, 3, 4, 5, 6]
    assert metrics["learning_rate"] == [learning_rate(TINY, iteration) for iteration in range(1, 7)]
    assert all(0.1 < loss < 5 for loss in metrics["loss"])
    assert all(norm > 0 for norm in metrics["gradient_norm"])


def test_the_same_training_ends_the_same_and_another_seed_does_not(tmp_path, stores, uninterrupted):
    assert_same(run(tmp_path / "again", stores, checkpoint_every=5), uninterrupted)
    other = run(tmp_path / "other", stores, seed=4)
    assert not torch.equal(other[0]["_fc.weight"], uninterrupted[0]["_fc.weight"])


def test_a_finished_training_has_nothing_to_do(tmp_path, stores, uninterrupted):
    assert_same(run(tmp_path, stores), uninterrupted)
    (tmp_path / "checkpoint.safetensors").rename(tmp_path / "kept")
    (tmp_path / "kept").rename(tmp_path / "checkpoint.safetensors")
    written = (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns
    assert_same(run(tmp_path, stores), uninterrupted)
    assert (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns == written


# Runs the training of these tests in a process of its own. The rows of pairs are asked twice an iteration: in the
# fifth, it is told to end (by a signal that it sends to itself), or waits to be killed.
PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
from samples import lively_model, pair_rows
from test_training import run
from dfdc.errors import UserError

class Pairs(list):
    asked = 0
    def __getitem__(self, index):
        self.asked += 1
        if self.asked == 9:
            if sys.argv[1] == "wait":
                print("waiting", flush=True)
                sys.stdin.read()
            else:
                os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        return super().__getitem__(index)

torch.set_num_threads(1)
try:
    run(Path(sys.argv[2]), {"part": Path(sys.argv[3])}, pairs=Pairs(pair_rows(5, 6)))
except UserError as error:
    sys.exit(str(error))
"""


def start(how, folder, stores):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how, str(folder), str(stores["part"])],
        env={"PYTHONPATH": os.pathsep.join([str(LIBRARY.parent), str(Path(__file__).parent)])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_training_that_is_told_to_end_saves_and_goes_on_later(tmp_path, stores, uninterrupted, caplog):
    process = start("SIGTERM", tmp_path, stores)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.strip() == "Stopped by a signal after iteration 5; run again to go on from there."
    caplog.set_level("INFO", "dfdc")
    assert_same(run(tmp_path, stores), uninterrupted)
    assert "going on after iteration 5" in caplog.text


def test_a_training_that_is_killed_keeps_others_out_until_then_and_goes_on_later(
    tmp_path, stores, uninterrupted, caplog
):
    process = start("wait", tmp_path, stores)
    assert process.stdout.readline() == "waiting\n"
    with pytest.raises(UserError, match=rf"already running \(process {process.pid} on .*Wait for it or stop it"):
        run(tmp_path, stores)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    caplog.set_level("INFO", "dfdc")
    assert_same(run(tmp_path, stores), uninterrupted)
    assert "going on after iteration 4" in caplog.text


def test_a_second_trainer_is_refused_before_it_changes_anything(tmp_path, stores):
    with exclusive(tmp_path), pytest.raises(UserError, match="already running"):
        run(tmp_path, stores)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_signals_are_as_they_were_afterwards(uninterrupted):
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


@pytest.mark.parametrize(
    ("weight", "value", "fault"),
    [
        ("_bn1.bias", float("nan"), "loss is nan"),
        # Features so large that the loss is finite and the square of its gradient is not.
        ("_bn1.weight", 1e30, "norm of the gradient is inf"),
    ],
)
def test_numbers_that_are_none_are_refused_with_the_fakes(tmp_path, stores, weight, value, fault):
    broken = without_head(lively_model(architecture="efficientnet-b0"))
    broken[weight] = torch.full_like(broken[weight], value)
    settings = replace(TINY, architecture="efficientnet-b0")
    with pytest.raises(UserError) as error:
        run(tmp_path, stores, settings, broken, checkpoint_every=1)
    (places,) = Schedule(5, 2, 3, 1, 1)
    assert f"The {fault} at iteration 1" in str(error.value)
    for place in places:
        assert f"part/fake{place.pair}.mp4" in str(error.value)
    assert "training.learning_rate" in str(error.value)
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_too_few_pairs(tmp_path, stores):
    with pytest.raises(UserError, match=r"There are 1 pairs of clips, but a batch needs 2 \(training\.batch_pairs\)"):
        run(tmp_path, stores, pairs=pair_rows(1, 6))
