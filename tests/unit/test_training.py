import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from samples import lively_model, pair_rows, sample_settings, write_clips
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from dfdc.data.schemas.training import METRICS, VALIDATION
from dfdc.data.seeding import generator
from dfdc.data.tables import write_table
from dfdc.networks.efficientnet import inflate
from dfdc.networks.families import build_model, load_backbone
from dfdc.networks.inputs import normalise
from dfdc.networks.weights.files import read_weights_metadata
from dfdc.stages.clips.reading import PairReader
from dfdc.stages.training.augment.erasing import erase_
from dfdc.stages.training.augment.mixup import mix
from dfdc.stages.training.checkpoint import TrainingState, checkpoints, exclusive
from dfdc.stages.training.distributed import Group, run_on_all
from dfdc.stages.training.loading import batches
from dfdc.stages.training.samples import PairDataset, Schedule
from dfdc.stages.training.settings import TrainSettings
from dfdc.stages.training.tensorboard import list_run
from dfdc.stages.training.trainer import RunSettings, TrainData, Trained, Trainer, learning_rate, train
from dfdc.system.errors import UserError
from dfdc.system.jobs.provenance import LIBRARY
from nodes import written
from published import published

PUBLISHED = published(TrainSettings)
TINY = published(
    TrainSettings,
    architecture="efficientnet-lite0",
    iterations=6,
    batch_pairs=2,
    warmup_iterations=2,
    learning_rate=0.02,
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return {"part": write_clips(tmp_path_factory.mktemp("training") / "part.arrow", [6] * 10)}


@pytest.fixture(scope="module")
def backbone():
    return without_head(lively_model())


def without_head(model):
    return {name: value for name, value in model.state_dict().items() if not name.startswith("_fc.")}


def run(
    folder,
    stores,
    settings=TINY,
    pretrained=None,
    pairs=5,
    validation=0,
    checkpoint_every=2,
    kept=2,
    devices=1,
    **samples,
):
    rows = pair_rows(pairs + validation, 6)
    data = TrainData(rows[:pairs], rows[pairs:], stores, pretrained)
    how = RunSettings(folder, [CPU] * devices, checkpoint_every=checkpoint_every, checkpoints_kept=kept)
    return train(data, settings, sample_settings(settings.kind, **samples), how)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, stores):
    return run(tmp_path_factory.mktemp("reference"), stores)


@pytest.fixture(scope="module")
def each(tmp_path_factory, stores):
    """The checkpoints after each iteration of the training."""
    folder = tmp_path_factory.mktemp("each")
    run(folder, stores, checkpoint_every=1, kept=9)
    return checkpoints(folder)[::-1]


def assert_same(one: Trained, other: Trained):
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(value, other.state[name]) for name, value in one.state.items())
    assert one.metrics == other.metrics
    assert one.validation == other.validation


@pytest.mark.parametrize(
    ("iteration", "rate"),
    [
        (1, 0.005),
        (100, 0.005),
        (101, 0.005),
        (102, 0.00499995),
        (50_101, 0.0025),
        (100_000, 0.00000505),  # the 99,900th after the warm-up: 101 / 100,000 of the full rate
    ],
)
def test_the_published_learning_rates(iteration, rate):
    assert learning_rate(PUBLISHED, iteration) == pytest.approx(rate, rel=1e-12)


def test_the_learning_rate_falls_in_equal_steps():
    rates = np.array([learning_rate(PUBLISHED, iteration) for iteration in range(1, 100_001)])
    assert (rates[:101] == 0.005).all()
    np.testing.assert_allclose(np.diff(rates[100:]), -0.005 / 100_000, rtol=1e-6)
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
        mixed = erase_(mix(normalise(batch.real), normalise(batch.fake), batch.targets), batch.erasings, batch.noise)
        logits = model(mixed)[:, 0]
        likelihood = batch.targets * torch.sigmoid(logits).log() + (1 - batch.targets) * torch.sigmoid(-logits).log()
        loss = -likelihood.mean()
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(trained.values()))
        after = batch.iteration - settings.warmup_iterations
        rate = settings.learning_rate * (1 - max(0, after - 1) / settings.iterations)
        if after == 1:
            speed = {}
        with torch.no_grad():
            for (name, weight), gradient in zip(trained.items(), gradients, strict=True):
                gradient = gradient + settings.weight_decay * weight
                speed[name] = gradient if name not in speed else settings.momentum * speed[name] + gradient
                weight -= rate * (gradient + settings.momentum * speed[name])
    return model.state_dict(), losses


@pytest.mark.parametrize(("kind", "frames"), [("frame", (1, 3)), ("sequence", (1, 2, 3))])
def test_a_training_against_one_written_out(tmp_path, stores, backbone, kind, frames):
    settings = replace(TINY, kind=kind, iterations=4, learning_rate=0.0005, weight_decay=1e-2)
    trained = run(tmp_path, stores, settings, backbone, frames=frames)
    state = trained.state
    expected, losses = by_hand(stores, settings, sample_settings(kind, frames), backbone)
    np.testing.assert_allclose(trained.metrics["loss"], losses, rtol=1e-3)
    start = backbone if kind == "frame" else inflate(backbone)
    trained = [name for name in start if name.endswith(("weight", "bias"))]
    moved = sum((state[name] - start[name]).square().sum() for name in trained)
    apart = sum((state[name] - expected[name]).square().sum() for name in trained)
    # Rounding grows a thousandfold with each step of so small a network; another rate or momentum differs by far more.
    assert apart < 0.02 * moved


def test_the_warm_up_trains_the_last_layer_alone(tmp_path, stores, backbone):
    warm = replace(TINY, iterations=2)
    state = run(tmp_path / "warm", stores, warm, backbone).state
    assert all(torch.equal(value, state[name]) for name, value in backbone.items())  # running means too
    more = replace(TINY, iterations=3)
    state = run(tmp_path / "more", stores, more, backbone).state
    assert not any(torch.equal(value, state[name]) for name, value in backbone.items())


def test_after_the_warm_up_momentum_starts_afresh(each):
    """By arithmetic, for Nesterov's momentum m = 0.9.

    A first step of gradient g has the velocity v = g and moves by (1 + m) v. A second one of gradient g' has the
    velocity v' = m v + g' and moves by g' + m v' = (1 + m) v' - m v. TINY has 6 iterations and a warm-up of 2: the two
    after it have 6 / 6 and 5 / 6 of the rate of 0.02.
    """
    saved = [load_file(path) for path in each]
    for name in ("_fc.weight", "_conv_stem.weight"):
        weights = [checkpoint[f"model.{name}"].double() for checkpoint in saved]
        speeds = [checkpoint.get(f"momentum.{name}") for checkpoint in saved]
        assert (speeds[1] is not None) == (name == "_fc.weight")  # at the end of the warm-up
        first, second = (speed.double() for speed in speeds[2:4])
        torch.testing.assert_close(weights[1] - weights[2], 0.02 * 1.9 * first, rtol=1e-3, atol=1e-6)
        step = 0.02 * 5 / 6 * (1.9 * second - 0.9 * first)
        torch.testing.assert_close(weights[2] - weights[3], step, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("done", [1, 2, 3, 5])
def test_a_training_may_go_on_from_any_iteration(tmp_path, stores, each, uninterrupted, caplog, done):
    """In the warm-up, at its end, after its first step with a fresh optimizer, and later."""
    shutil.copy(each[done - 1], tmp_path)
    caplog.set_level("INFO", "dfdc")
    assert_same(run(tmp_path, stores), uninterrupted)
    assert f"resuming after iteration {done}" in caplog.text


def test_metrics(tmp_path, uninterrupted):
    metrics = uninterrupted.metrics
    write_table(tmp_path / "metrics.parquet", METRICS, metrics)
    assert metrics["iteration"] == [1, 2, 3, 4, 5, 6]
    assert metrics["learning_rate"] == [learning_rate(TINY, iteration) for iteration in range(1, 7)]
    assert all(0.1 < loss < 5 for loss in metrics["loss"])
    assert all(norm > 0 for norm in metrics["gradient_norm"])


def test_the_same_training_ends_the_same_and_another_seed_does_not(tmp_path, stores, uninterrupted):
    assert_same(run(tmp_path / "again", stores, checkpoint_every=5), uninterrupted)
    other = run(tmp_path / "other", stores, seed=4)
    assert not torch.equal(other.state["_fc.weight"], uninterrupted.state["_fc.weight"])


def test_a_finished_training_has_nothing_to_do(tmp_path, stores, uninterrupted):
    assert_same(run(tmp_path, stores), uninterrupted)
    written = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint_*")}
    assert sorted(written) == ["checkpoint_00000004.safetensors", "checkpoint_00000006.safetensors"]
    assert_same(run(tmp_path, stores), uninterrupted)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("checkpoint_*")} == written


# Runs the training of these tests in a process of its own. Two pairs are read in an iteration. When some number of them
# was read it is told to end (by a signal that it sends to itself), or waits to be killed.
PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
from dfdc.stages.clips import reading
from dfdc.system.errors import UserError
from test_training import run

how, moment, folder, store = sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:])
read, reads = reading.PairReader.read, 0

def counted(self, *what):
    global reads
    reads += 1
    if reads == moment:
        if how == "wait":
            print("waiting", flush=True)
            sys.stdin.read()
        os.kill(os.getpid(), getattr(signal, how))
    return read(self, *what)

reading.PairReader.read = counted
torch.set_num_threads(1)
try:
    run(folder, {"part": store})
except UserError as error:
    sys.exit(str(error))
"""


def start(how, moment, folder, stores):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how, str(moment), str(folder), str(stores["part"])],
        env={"PYTHONPATH": os.pathsep.join(map(str, (LIBRARY.parent, *Path(__file__).parents[:2])))},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_training_that_is_told_to_end_saves_and_goes_on_later(tmp_path, stores, uninterrupted, caplog):
    process = start("SIGTERM", 9, tmp_path, stores)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 1
    assert said.strip().endswith("Stopped by a signal after iteration 5; run again to go on from there.")
    caplog.set_level("INFO", "dfdc")
    assert_same(run(tmp_path, stores), uninterrupted)
    assert "resuming after iteration 5" in caplog.text


def test_a_training_that_is_killed_three_times_ends_the_same(tmp_path, stores, uninterrupted, caplog):
    # In iterations 4, 4 and 6: after the checkpoints of 2, 2 and 4.
    for moment in (7, 3, 8):
        process = start("SIGKILL", moment, tmp_path, stores)
        process.communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL
    caplog.set_level("INFO", "dfdc")
    assert_same(run(tmp_path, stores), uninterrupted)
    assert "resuming after iteration 4" in caplog.text


def test_a_training_keeps_others_out_until_it_is_killed(tmp_path, stores):
    process = start("wait", 5, tmp_path, stores)
    assert process.stdout.readline() == "waiting\n"
    with pytest.raises(UserError, match=rf"already running \(process {process.pid} on .*Wait for it or stop it"):
        run(tmp_path, stores)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    run(tmp_path, stores)


def test_a_training_that_was_taken_for_dead_writes_no_checkpoint(tmp_path, stores, monkeypatch):
    read, reads = PairReader.read, iter(range(100))

    def taken_in_iteration_3(self, *what):
        if next(reads) == 5:
            written(tmp_path / "lock-000002")
        return read(self, *what)

    monkeypatch.setattr(PairReader, "read", taken_in_iteration_3)
    with pytest.raises(UserError) as error:
        run(tmp_path, stores)
    assert f"no longer holds the lock of {tmp_path} (process 41 on node7, last heartbeat " in str(error.value)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint_00000002.safetensors"]


def test_a_second_trainer_is_refused_before_it_changes_anything(tmp_path, stores):
    with exclusive(tmp_path), pytest.raises(UserError, match="already running"):
        run(tmp_path, stores)
    assert not list(tmp_path.glob("checkpoint_*"))


def test_signals_are_as_they_were_afterwards(tmp_path, stores):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    run(tmp_path, stores, replace(TINY, iterations=1))
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


@pytest.mark.parametrize(
    ("weight", "value", "fault"),
    [
        ("_bn1.bias", float("nan"), "loss is nan"),
        # Features so large that the loss is finite and the square of its gradient is not.
        ("_bn1.weight", 1e30, "gradient norm is inf"),
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
    assert not list(tmp_path.glob("checkpoint_*"))


def test_too_few_pairs(tmp_path, stores):
    with pytest.raises(UserError, match=r"There are 1 pairs of clips, but a batch needs 2 \(training\.batch_pairs\)"):
        run(tmp_path, stores, pairs=1)


def test_a_batch_that_cannot_be_divided(tmp_path, stores):
    with pytest.raises(UserError, match=r"2 pairs .* cannot be divided among 1 GPUs in 3 pieces"):
        run(tmp_path, stores, replace(TINY, accumulate=3))
    with pytest.raises(UserError, match=r"2 pairs .* cannot be divided among 3 GPUs in 1 pieces"):
        run(tmp_path, stores, devices=3)


# Options


def steady_model(pictures):
    """A network whose norms are those of some pictures and stay so: pieces of a batch then do not interact."""
    torch.manual_seed(1)
    # An architecture without kinks: where a rectifier bends, the least rounding makes another gradient.
    model = build_model("efficientnet-b0", "frame", (32, 32))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    model(pictures)
    model.train = lambda mode=True: nn.Module.train(model, False)
    return model.eval()


def steps(stores, settings, group, iterations=3):
    """Losses and last gradients of a few iterations with fixed norms."""
    samples = sample_settings("frame")
    dataset = PairDataset(pair_rows(5, 6), stores, samples)
    (whole,) = batches(dataset, Schedule(5, settings.batch_pairs, samples.seed, 1, 1), 0)
    model = steady_model(normalise(whole.real))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, nesterov=True)
    trainer = Trainer(TrainingState(model, optimizer), settings, samples.seed, group)
    schedule = Schedule(5, settings.batch_pairs, samples.seed, 1, iterations, group.rank, group.size)
    found = [trainer.step(batch).tolist() for batch in batches(dataset, schedule, 0)]
    return found, {name: parameter.grad for name, parameter in model.named_parameters()}


ALONE = Group(0, 1, CPU, threading.Event())
# The gradients of so small a network are so large that larger steps would be wild.
WHOLE = replace(TINY, architecture="efficientnet-b0", batch_pairs=5, warmup_iterations=0, learning_rate=1e-8)


def assert_close(one, other):
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    assert one[1].keys() == other[1].keys()
    apart, size = (
        torch.cat([gradient.flatten() for gradient in gradients])
        for gradients in ([one[1][name] - gradient for name, gradient in other[1].items()], other[1].values())
    )
    assert apart.norm() < 1e-5 * size.norm()


@pytest.fixture(scope="module")
def whole(stores):
    return steps(stores, WHOLE, ALONE)


def test_a_batch_in_pieces_has_the_same_loss_and_gradient(stores, whole):
    assert_close(steps(stores, replace(WHOLE, accumulate=3), ALONE), whole)
    losses = [loss for loss, _, _ in whole[0]]
    assert len(set(losses)) == 3
    assert all(0.1 < loss < 20 for loss in losses)


def one_of_two(folder, stores, settings, group):
    torch.save(steps(stores, settings, group), folder / f"{group.rank}")


def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path, stores, whole):
    """Of five pairs the one has three and the other two; each takes its own in two pieces."""
    run_on_all(one_of_two, (tmp_path, stores, replace(WHOLE, accumulate=2)), [CPU, CPU])
    for rank in range(2):
        assert_close(torch.load(tmp_path / str(rank)), whole)


def test_a_training_of_two_processes(tmp_path, stores, backbone, caplog):
    """From one end to the other, in the warm-up: later, batch norm needs GPUs to look at the whole batch."""
    warm = replace(TINY, warmup_iterations=6, validate_every=3)
    alone = run(tmp_path / "one", stores, warm, backbone, pairs=4, validation=1)
    caplog.set_level("INFO")
    both = run(tmp_path / "two", stores, warm, backbone, pairs=4, validation=1, devices=2)
    assert "validation after iteration 6" in caplog.text
    np.testing.assert_allclose(both.metrics["loss"], alone.metrics["loss"], rtol=1e-5)
    losses = ([row.log_loss for row in trained.validation] for trained in (both, alone))
    np.testing.assert_allclose(*losses, rtol=1e-4)
    for name, value in alone.state.items():
        torch.testing.assert_close(both.state[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_averaged_weights(tmp_path, stores, backbone):
    """By hand: of the weights after each iteration, newer ones count for more."""
    run(tmp_path / "each", stores, TINY, backbone, checkpoint_every=1, kept=9)
    expected, *later = (load_file(path)["model._fc.weight"] for path in reversed(checkpoints(tmp_path / "each")))
    assert len(later) == 5
    for weight in later:
        expected = 0.8 * expected + 0.2 * weight
    averaged = run(tmp_path / "averaged", stores, replace(TINY, ema=0.8), backbone).state
    torch.testing.assert_close(averaged["_fc.weight"], expected)
    assert not torch.allclose(averaged["_fc.weight"], later[-1])


def test_a_long_gradient_is_shortened(stores):
    once = replace(WHOLE, iterations=1)
    ((_, norm, _),), free = steps(stores, once, ALONE, 1)
    ((_, recorded, _),), shorter = steps(stores, replace(once, clip_gradient=norm / 4), ALONE, 1)
    assert recorded == norm  # what is recorded is the norm before
    for name, gradient in free.items():
        torch.testing.assert_close(shorter[name], gradient / 4, rtol=1e-4, atol=1e-7)
    _, same = steps(stores, replace(once, clip_gradient=norm * 1.1), ALONE, 1)
    assert all(torch.equal(gradient, same[name]) for name, gradient in free.items())


# Validation and records


def test_measuring_changes_nothing_and_the_best_is_kept(tmp_path, stores, backbone):
    plain = run(tmp_path / "plain", stores, TINY, backbone, pairs=3)
    watched = run(tmp_path / "watched", stores, replace(TINY, validate_every=2), backbone, pairs=3, validation=2)
    assert all(torch.equal(value, plain.state[name]) for name, value in watched.state.items())
    assert watched.metrics == plain.metrics
    write_table(tmp_path / "validation.parquet", VALIDATION, watched.validation)
    assert [(row.iteration, row.clips, row.count) for row in watched.validation] == [
        (iteration, clips, 4) for iteration in (2, 4, 6) for clips in ("plain", "recompressed")
    ]
    write_table(tmp_path / "empty.parquet", VALIDATION, plain.validation)
    assert plain.validation == []

    losses = np.reshape([row.log_loss for row in watched.validation], (3, 2)).mean(1)
    best = 2 * (int(losses.argmin()) + 1)
    found = tmp_path / "watched" / "best.safetensors"
    assert read_weights_metadata(found)["iteration"] == best
    state = run(tmp_path / "again", stores, replace(TINY, iterations=6), backbone, pairs=3, checkpoint_every=1, kept=9)
    assert torch.equal(state.state["_fc.weight"], plain.state["_fc.weight"])
    then = load_file(tmp_path / "again" / f"checkpoint_{best:08}.safetensors")
    assert torch.equal(load_file(found)["_fc.weight"], then["model._fc.weight"])


def test_measurements_survive_a_restart(tmp_path, stores, backbone):
    settings = replace(TINY, validate_every=2)
    whole = run(tmp_path / "whole", stores, settings, backbone, pairs=3, validation=2)
    process = tmp_path / "parts"
    run(process, stores, settings, backbone, pairs=3, validation=2)
    newest, older = checkpoints(process)
    newest.unlink()
    assert older.name == "checkpoint_00000004.safetensors"
    assert_same(run(process, stores, settings, backbone, pairs=3, validation=2), whole)


def test_what_is_recorded(tmp_path, stores, backbone):
    trained = run(tmp_path, stores, replace(TINY, validate_every=3), backbone, pairs=3, validation=1)
    lines = [json.loads(line) for line in (tmp_path / "speed.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 5, 6]
    for line in lines:
        assert line["images_per_second"] == pytest.approx(2 * line["pairs_per_second"], rel=1e-3)
        assert 0 < line["data_wait"] < 1
        assert 100 < line["memory_mb"] < 20_000
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [point.value for point in events.Scalars("train/loss")] == pytest.approx(trained.metrics["loss"])
    assert len(events.Scalars("speed/data_wait")) == 6
    assert [point.step for point in events.Scalars("validation/log_loss_plain")] == [3, 6]
    assert [image.step for image in events.Images("samples")] == [1, 3, 6]
    (settings,) = events.Tensors("settings/text_summary")
    assert "| training.iterations | 6 |" in settings.tensor_proto.string_val[0].decode()
    sheet = cv2.imread(str(tmp_path / "samples" / "00000001.png"))
    assert sheet.shape == (3 * 32 + 20, 2 * 32, 3)


def test_the_board_lists_each_training_once_by_a_name_for_people(tmp_path):
    board = tmp_path / "work/tensorboard"
    first, second = (tmp_path / "work" / model / "0a1b-2c3d/tensorboard" for model in ("re", "seq"))
    for records in (first, second):
        for _ in range(2):  # begun, and gone on
            with SummaryWriter(records) as writer:
                writer.add_scalar("train/loss", 0.5, 1)
            list_run(records, board, records.parents[1].name)
    assert sorted(path.name.split()[0] for path in board.iterdir()) == ["re", "seq"]
    # TensorBoard follows the links.
    shown = EventMultiplexer().AddRunsFromDirectory(str(board)).Runs()
    assert sorted(name.split()[0] for name in shown) == ["re", "seq"]
    shutil.rmtree(first)
    list_run(second, board, "seq")
    assert [path.name.split()[0] for path in board.iterdir()] == ["seq"]
