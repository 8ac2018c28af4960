"""Ablation study: trainings with and without each component of the published method.

    make demo
    python benchmarks/ablation.py [--demo demo] [--iterations 320] [--seeds 3] [--variants all no-mixup] [--jobs 2]

According to the authors of the published solution, mixup of a real face with its own aligned fake prevents overfitting,
and recompression makes the network robust to compression. Here the demo's model `large_crop` (EfficientNet-Lite0,
pretrained on ImageNet) is trained with the demo's settings and one change:

- `all`: no change.
- `no-mixup`: the targets are 0 or 1, so each image is either the real or the fake one of an aligned pair.
- `unaligned`: a real clip is mixed with the fake clip of another pair of its part, the same one throughout the
  training. Each fake clip is still used once. In about one pair of six both come from the same source video.
- `no-recompression`: clips are not recompressed.
- `yuv420p`: clips are recompressed with chroma subsampling, as is usual for videos, instead of yuv444p as published.

Trainings with the same seed start from the same weights and share all other random draws. All are evaluated on the same
clips, all pairs of the validation parts (except those that differ only in audio): clean, and degraded, where each pair
is recompressed with a draw from the published ranges, in yuv420p and with the demo's preset. Two of the demo's four
training parts are used for validation (--validation): those that share the fewest people with the others, though not
none. A clip's score is the mean over its two frames. A constant score of 0.5 has a log loss of 0.6931.

The weights are evaluated sixteen times during a training. `last` is the end; `least` is the lowest log loss, separately
for clean and degraded clips. It is selected on the evaluation clips and therefore optimistic; the difference between
the two is due to overfitting.

The training loss is the mean over the last tenth of the iterations. With mixup targets it cannot reach 0: the next
column is its distance from the minimum for these targets. The log loss on the training clips is that of the last
weights on clean clips, evaluated like the validation pairs.

Numbers are mean ± standard deviation (n - 1) over the seeds. This is the variation between trainings; it does not cover
other people or other fakes. The last table has the differences to `all` with the same seed, and the number of seeds
with a higher log loss than `all`.

Each training writes its results to the folder (--folder) as JSON and is skipped if they exist, unless settings, data or
the library have changed. Interrupted trainings resume from their last checkpoint. On a CPU the numbers do not depend on
--jobs.
"""

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from safetensors.torch import load_file
from settings import published
from snakemake.utils import update_config

from dfdc.config.canonical import digest
from dfdc.config.reading import read_yaml
from dfdc.data.schemas.pairs import PAIRS, Pair
from dfdc.data.seeding import generator
from dfdc.data.tables import read_rows
from dfdc.networks.families import build_model
from dfdc.networks.settings import CropPolicy
from dfdc.networks.weights.pretrained import load_pretrained
from dfdc.stages.training.augment.pair import draw_targets
from dfdc.stages.training.augment.settings import AugmentSettings
from dfdc.stages.training.checkpoint import checkpoints
from dfdc.stages.training.samples import SampleSettings
from dfdc.stages.training.settings import TrainSettings
from dfdc.stages.training.trainer import RunSettings, TrainData, train
from dfdc.stages.training.validation import ValidationSet, load_validation, measure_model
from dfdc.system.errors import UserError
from dfdc.system.files import write_text
from dfdc.system.jobs.provenance import code_of
from dfdc.system.workers.pool import map_in_order
from dfdc.video.settings import RecompressionSettings

ROOT = Path(__file__).resolve().parents[1]
MODEL = "large_crop"
# The two other parts show the same footage. Four of the nine people in these parts do not appear in it.
VALIDATION = ("dfdc_train_part_1", "dfdc_train_part_2")
MEASUREMENTS = 16  # per training
CPU = torch.device("cpu")
CLIPS = {"plain": "clean clips", "recompressed": "degraded clips"}
STEPS = ("iterations", "batch_pairs", "warmup_iterations", "learning_rate", "momentum", "weight_decay")


@dataclass(frozen=True)
class Variant:
    """Differences from the published training."""

    samples: Mapping[str, Any] = field(default_factory=dict)
    recompression: Mapping[str, Any] = field(default_factory=dict)
    aligned: bool = True


AS_IN_VIDEOS = {"pixel_format": "yuv420p"}

VARIANTS = {
    "all": Variant(),
    # With so small an alpha all draws are 0 or 1.
    "no-mixup": Variant({"mixup_alpha": 1e-6}),
    "unaligned": Variant(aligned=False),
    "no-recompression": Variant(recompression={"probability": 0.0}),
    "yuv420p": Variant(recompression=AS_IN_VIDEOS),
}


@dataclass(frozen=True)
class Experiment:
    """All trainings of one call. ``prepare`` is called in each process."""

    demo: Path
    folder: Path
    validation: Sequence[str]
    iterations: int

    def prepare(self) -> Callable[[tuple[str, int]], dict[str, Any]]:
        return Trainings(self).result


class Trainings:
    """The data and settings that the trainings share."""

    def __init__(self, experiment: Experiment) -> None:
        config = demo_settings()
        torch.set_num_threads(config["torch_threads"])
        training, model = config["training"] | {"iterations": experiment.iterations}, config["models"][MODEL]
        self.folder = experiment.folder
        self.train_pairs, self.held_pairs, self.stores = read_pairs(experiment.demo, experiment.validation)
        self.samples = sample_settings(model, training)
        self.settings = published(
            TrainSettings,
            architecture=model["architecture"],
            kind=model["kind"],
            **{key: training[key] for key in STEPS},
        )
        self.every = max(experiment.iterations // MEASUREMENTS, 1)
        source = config["pretrained"][model["architecture"]]
        self.pretrained = load_pretrained(source.removeprefix("package:"), model["architecture"])
        library = {name: code for name, code in code_of(__file__).items() if name != Path(__file__).name}
        self.inputs = (asdict(self.settings), self.train_pairs, self.held_pairs, training, source, library)
        self._clips: tuple[ValidationSet, ValidationSet] | None = None

    def result(self, which: tuple[str, int]) -> dict[str, Any]:
        """The result of a variant with a seed, read from the folder or computed."""
        name, seed = which
        variant = VARIANTS[name]
        recompression = replace(self.samples.recompression, **variant.recompression)
        samples = replace(self.samples, **variant.samples, recompression=recompression, seed=seed)
        pairs = self.train_pairs if variant.aligned else misaligned(self.train_pairs, seed)
        stem = f"{name}-{seed}-{digest(asdict(samples), pairs, *self.inputs)}"
        path = self.folder / f"{stem}.json"
        if not path.exists():
            write_text(path, json.dumps(self._train(name, samples, pairs, self.folder / "work" / stem), indent=1))
        return json.loads(path.read_text(encoding="utf-8"))

    def _train(self, name: str, samples: SampleSettings, pairs: Sequence[Pair], folder: Path) -> dict[str, Any]:
        """Train, evaluate every checkpoint, and delete the checkpoints."""
        iterations = self.settings.iterations
        data = TrainData(pairs, [], self.stores, self.pretrained)
        run = RunSettings(folder, [CPU], checkpoint_every=self.every, checkpoints_kept=iterations)
        losses = train(data, self.settings, samples, run).metrics["loss"]
        last = range(iterations - max(iterations // 10, 1), iterations)
        result = {
            "variant": name,
            "seed": samples.seed,
            "training_loss": float(np.mean([losses[index] for index in last])),
            "least_training_loss": least_loss(samples, [index + 1 for index in last], self.settings.batch_pairs),
            **self._measured(folder),
        }
        shutil.rmtree(folder)
        return result

    def _measured(self, folder: Path) -> dict[str, Any]:
        """Evaluate the weights in a folder of checkpoints, and the last of them on the training clips."""
        held, trained = self._load_clips()
        settings, crop = self.settings, self.samples.crop
        size = (crop.height, crop.width)
        network = build_model(settings.architecture, settings.kind, size, len(self.samples.frames))
        course = []
        for path in reversed(checkpoints(folder)):
            iteration = int(path.stem.removeprefix("checkpoint_"))
            if iteration % self.every == 0 or iteration == settings.iterations:  # skips those written on interruption
                network.load_state_dict(weights_in(path))
                course += map(asdict, measure_model(network, held, iteration, CPU, "fp32"))
        on_trained = measure_model(network, trained, settings.iterations, CPU, "fp32")
        return {"course": course, "training_clips": on_trained[0].log_loss}

    def _load_clips(self) -> tuple[ValidationSet, ValidationSet]:
        """The validation clips and the training clips; the same for all variants."""
        if self._clips is None:
            recompression = replace(self.samples.recompression, **AS_IN_VIDEOS)
            samples = replace(self.samples, recompression=recompression)
            held, trained = (
                load_validation(pairs, self.stores, samples, 1) for pairs in (self.held_pairs, self.train_pairs)
            )
            self._clips = held, replace(trained, clips={"plain": trained.clips["plain"]})
        return self._clips


def demo_settings() -> dict[str, Any]:
    config = read_yaml(ROOT / "config.yaml")
    update_config(config, read_yaml(ROOT / "profiles" / "demo" / "settings.yaml"))
    return config


def sample_settings(model: Mapping[str, Any], training: Mapping[str, Any]) -> SampleSettings:
    recompression = dict(training["recompression"])
    del recompression["variants"]  # the study recompresses on the fly
    return SampleSettings(
        kind=model["kind"],
        frames=tuple(model["frames"]),
        whole_clip=recompression.pop("whole_clip"),
        crop=CropPolicy(**model["crop"]),
        augment=AugmentSettings(training["flip"], training["autoaugment"], model["erasing"]),
        recompression=RecompressionSettings(**recompression),
        mixup_alpha=training["mixup_alpha"],
        seed=0,
    )


def read_pairs(demo: Path, validation: Sequence[str]) -> tuple[list[Pair], list[Pair], dict[str, Path]]:
    """The training pairs, the validation pairs, and the store of each part."""
    table, stores = demo / "results" / "pairs.parquet", sorted((demo / "results" / "clips").glob("*.arrow"))
    if not table.exists() or not stores:
        raise UserError(
            f"There is no finished demo in {demo}: {table} or its clips are missing. Run `make demo`, or set --demo."
        )
    pairs = [pair for pair in read_rows(table, PAIRS, Pair) if pair.split == "train"]
    parts = sorted({pair.part for pair in pairs})
    if not set(validation) < set(parts):
        raise UserError(
            f"--validation {' '.join(validation)}: the demo has pairs of {', '.join(parts)}; "
            "choose one or more, but not all."
        )
    held = [pair for pair in pairs if pair.part in validation and pair.real_sha256 != pair.fake_sha256]
    rest = [pair for pair in pairs if pair.part not in validation]
    return rest, held, {path.stem: path for path in stores}


def misaligned(pairs: Sequence[Pair], seed: int) -> list[Pair]:
    """The same real clips, each with the fake clip of another pair of its part: the next one in a random ring."""
    partner = {}
    for part in sorted({pair.part for pair in pairs}):
        of_part = [number for number, pair in enumerate(pairs) if pair.part == part]
        if len(of_part) == 1:
            raise UserError(f"{part} has only one training pair and cannot be misaligned. Use it for validation.")
        ring = generator(seed, "misaligned", part).permutation(of_part).tolist()
        partner |= dict(zip(ring, ring[1:] + ring[:1], strict=True))
    mixed = []
    for number, pair in enumerate(pairs):
        other = pairs[partner[number]]
        fake = {"fake": other.fake, "fake_clip": other.fake_clip, "fake_sha256": other.fake_sha256}
        mixed.append(replace(pair, **fake, frames=min(pair.frames, other.frames), difference=None))
    return mixed


def weights_in(checkpoint: Path) -> dict[str, torch.Tensor]:
    tensors = load_file(checkpoint)
    return {key.removeprefix("model."): tensor for key, tensor in tensors.items() if key.startswith("model.")}


def least_loss(samples: SampleSettings, iterations: Sequence[int], batch_pairs: int) -> float:
    """The mean entropy of the targets of some iterations, in nats: the minimum of the training loss."""
    places = [(iteration, slot) for iteration in iterations for slot in range(batch_pairs)]
    drawn = [
        draw_targets(samples.kind, len(samples.frames), samples.mixup_alpha, samples.seed, *place) for place in places
    ]
    shares = np.concatenate(drawn).astype(np.float64)
    shares = np.stack([shares, 1 - shares])
    return float(-np.sum(shares * np.log(np.where(shares > 0, shares, 1)), axis=0).mean())


def values_of(result: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The numbers of a training, by table and column."""
    tables = {}
    for clips, title in CLIPS.items():
        course = [row for row in result["course"] if row["clips"] == clips]
        last, least = course[-1], min(course, key=lambda row: row["log_loss"])
        tables[title] = {
            "log loss, last": last["log_loss"],
            "log loss, least": least["log_loss"],
            "least after iteration": least["iteration"],
            "AUC, last": last["auc"],
            "AUC at the least": least["auc"],
        }
    tables["in training"] = {
        "training loss": result["training_loss"],
        "above the minimum": result["training_loss"] - result["least_training_loss"],
        "log loss on training clips": result["training_clips"],
    }
    return tables


def print_tables(results: Sequence[Mapping[str, Any]], variants: Sequence[str]) -> None:
    of_variant = {name: [values_of(row) for row in results if row["variant"] == name] for name in variants}
    for title, columns in of_variant[variants[0]][0].items():
        rows = {
            name: [
                spread([seed[title][column] for seed in seeds], 0 if "iteration" in column else 3) for column in columns
            ]
            for name, seeds in of_variant.items()
        }
        print_table(title, list(columns), rows)

    published = of_variant.pop("all", None)
    if published and of_variant:
        compared = [(title, f"log loss, {when}") for title in CLIPS.values() for when in ("last", "least")]
        rows = {
            name: [difference(seeds, published, title, column) for title, column in compared]
            for name, seeds in of_variant.items()
        }
        print_table("difference to `all`, same seed", [f"{title}: {column}" for title, column in compared], rows)


def spread(values: Sequence[float], digits: int = 3, sign: str = "") -> str:
    mean = f"{statistics.mean(values):{sign}.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def difference(seeds: Sequence[Mapping], published: Sequence[Mapping], title: str, column: str) -> str:
    differences = [row[title][column] - base[title][column] for row, base in zip(seeds, published, strict=True)]
    return f"{spread(differences, sign='+')} ({sum(value > 0 for value in differences)} of {len(differences)})"


def print_table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> None:
    print(f"\n| {title} | {' | '.join(columns)} |\n|---{'|---' * len(columns)}|")
    for name, cells in rows.items():
        print(f"| `{name}` | {' | '.join(cells)} |")


def given_up(which: tuple[str, int], reason: str) -> NoReturn:
    raise UserError(f"The training of {which[0]} with seed {which[1]} failed: {reason}. Run again to resume.")


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="the folder of a finished demo")
    parser.add_argument("--folder", type=Path, default=Path("ablation"), help="folder of the results")
    parser.add_argument("--validation", nargs="+", default=VALIDATION, metavar="PART", help="validation parts")
    parser.add_argument("--iterations", type=positive, default=320)
    parser.add_argument("--seeds", type=positive, default=3, help="trainings of each variant")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--jobs", type=positive, default=2, help="parallel trainings, one thread each")
    options = parser.parse_args()
    experiment = Experiment(options.demo, options.folder, tuple(options.validation), options.iterations)
    variants = list(dict.fromkeys(options.variants))
    which = [(variant, seed) for seed in range(options.seeds) for variant in variants]
    try:
        trained, held, _ = read_pairs(options.demo, options.validation)
        print(f"{len(trained)} training pairs, {len(held)} validation pairs ({', '.join(options.validation)})")
        print(f"{options.iterations} iterations, seeds 0 to {options.seeds - 1}; torch {torch.__version__}", flush=True)
        results = []
        for result in map_in_order(experiment.prepare, which, options.jobs, None, given_up):
            results.append(result)
            print(f"{len(results)} of {len(which)}: {result['variant']}, seed {result['seed']}", file=sys.stderr)
        print_tables(results, variants)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
