"""How to train on little data: trainings on the demo's few people, each measured on people whom it has not seen.

    make demo
    python benchmarks/small_data.py [--recipes published drawn …] [--seeds 3] [--demo demo] [--folder small-data]
        [--jobs 2]

The demo's model `large_crop` (EfficientNet-Lite0, pretrained on ImageNet) is trained with the demo's settings and these
changes, one at a time:

- `published`: none. One clip of each aligned track, of which the same frames are taken at each visit.
- `windows`: four clips of each aligned track (`clips.per_track: 4`).
- `drawn`: other frames at each visit (`models.*.draw_frames: true`).
- `shorter`, `shortest`, `longer`: half, a quarter and twice the iterations.
- `slower`, `faster`: half and twice the learning rate.
- `smaller`, `larger`: three and five quarters of the sides of a face.

Two of them together: `both` (windows, drawn) and `shorter_drawn`.

The people in the training parts are divided into three groups; whoever appears together in a video is in one group.
Each recipe is trained without each of the groups, with so many seeds, and measured on that group's clips: one clip of
each aligned track, the same for all recipes, as it was cut and recompressed with draws from the published ranges. The
faces that fakes were given may be of people in other groups. The people in the test videos take no part: a recipe that
was chosen here can be measured on them by the workflow.

A clip's score is the mean over its frames. Columns: log loss of the scores as they are, sharpened by the published
exponent 0.65, with the exponent and with the temperature that are best for the other two groups; AUC. The first table
has mean ± standard deviation over groups and seeds; the second the same of the differences from `published` with the
same group and seed, and how many of them are for the better. A constant score of 0.5 has a log loss of 0.693.

Each training writes its scores into the folder, and is skipped if they are there.
"""

import argparse
import copy
import json
import shutil
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from settings import CONFIG, DEMO, published
from snakemake.utils import update_config

from dfdc.config.canonical import digest
from dfdc.data.schemas.alignment import ALIGNED, AlignedTrack
from dfdc.data.schemas.pairs import VARIANTS, Pair
from dfdc.data.schemas.videos import VIDEOS, TrainingVideo
from dfdc.data.tables import read_rows, write_table
from dfdc.networks.families import build_model
from dfdc.networks.weights.pretrained import load_pretrained
from dfdc.stages.clips.cutting import extract_clips
from dfdc.stages.clips.pairs import pair_clips
from dfdc.stages.clips.recompressing import recompress_clips
from dfdc.stages.clips.settings.cutting import ClipSettings
from dfdc.stages.clips.settings.pairs import ValidationSettings
from dfdc.stages.evaluation.calibration import LIMITS, fit, with_value
from dfdc.stages.evaluation.metrics import auc, log_loss
from dfdc.stages.prediction.ensemble import confident
from dfdc.stages.prediction.settings.ensemble import EnsembleSettings
from dfdc.stages.training.samples import SampleSettings
from dfdc.stages.training.settings import TrainSettings
from dfdc.stages.training.trainer import RunSettings, TrainData, train
from dfdc.stages.training.validation import clip_scores, load_validation
from dfdc.system.errors import UserError
from dfdc.system.files import write_text
from dfdc.system.workers.pool import map_in_order
from dfdc.video.settings import RecompressionSettings

CPU = torch.device("cpu")
GROUPS = 3
VARIANTS_OF_A_PAIR = 8
COLUMNS = ("log loss", "exponent 0.65", "exponent of others", "temperature of others", "AUC")
STEPS = ("iterations", "batch_pairs", "warmup_iterations", "learning_rate", "momentum", "weight_decay")


@dataclass(frozen=True)
class Recipe:
    """Changes of the demo's settings: clips of a track; factors on iterations, learning rate and sides of a face."""

    windows: int = 1
    draw_frames: bool = False
    iterations: float = 1.0
    learning_rate: float = 1.0
    side: float = 1.0


RECIPES = {
    "published": Recipe(),
    "windows": Recipe(windows=4),
    "drawn": Recipe(draw_frames=True),
    "both": Recipe(windows=4, draw_frames=True),
    "shorter": Recipe(iterations=0.5),
    "shortest": Recipe(iterations=0.25),
    "longer": Recipe(iterations=2.0),
    "slower": Recipe(learning_rate=0.5),
    "faster": Recipe(learning_rate=2.0),
    "smaller": Recipe(side=0.75),
    "larger": Recipe(side=1.25),
    "shorter_drawn": Recipe(draw_frames=True, iterations=0.5),
}


@dataclass(frozen=True)
class Clips:
    """The clips of all parts of the demo with so many windows of each aligned track, and their variants."""

    demo: Path
    folder: Path
    windows: int

    @property
    def parts(self) -> list[str]:
        return DEMO["data"]["parts"]

    def place(self, part: str, name: str) -> Path:
        return self.folder / f"windows-{self.windows}" / part / name

    @property
    def stores(self) -> dict[str, Path]:
        return {part: self.place(part, "clips.arrow") for part in self.parts}

    @property
    def variants(self) -> tuple[dict[str, Path], dict[str, Path]]:
        return (
            {part: self.place(part, "variants.parquet") for part in self.parts},
            {part: self.place(part, "variants.arrow") for part in self.parts},
        )

    def pairs(self, part: str) -> list[Pair]:
        return [Pair(**row) for row in json.loads(self.place(part, "pairs.json").read_text(encoding="utf-8"))]

    def make(self, workers: int) -> None:
        """Cut and recompress them, if that has not been done."""
        for part in self.parts:
            if self.place(part, "pairs.json").exists():
                continue
            self.place(part, "").mkdir(parents=True, exist_ok=True)
            results = self.demo / "results"
            videos = {
                row.video: row for row in read_rows(results / "videos" / f"{part}.parquet", VIDEOS, TrainingVideo)
            }
            aligned = read_rows(results / "aligned" / f"{part}.parquet", ALIGNED, AlignedTrack)
            every, store = CONFIG["detection"]["train"]["every"], self.place(part, "clips.arrow")
            settings = published(ClipSettings, per_track=self.windows)
            folder = self.demo / "data" / part
            clips = extract_clips(folder, aligned, videos, store, settings, every, 1.0, workers)
            pairs = [
                pair
                for pair in pair_clips(clips, 0, ValidationSettings(parts=[], share=0.0, seed=0))
                if pair.real_sha256 != pair.fake_sha256
            ]
            table, streams = self.place(part, "variants.parquet"), self.place(part, "variants.arrow")
            variants = recompress_clips(pairs, store, streams, recompression(), VARIANTS_OF_A_PAIR, 0, workers=workers)
            write_table(table, VARIANTS, variants)
            write_text(self.place(part, "pairs.json"), json.dumps([asdict(pair) for pair in pairs]))


def demo_config() -> dict[str, Any]:
    """The settings of the demo."""
    config = copy.deepcopy(CONFIG)
    update_config(config, DEMO)
    return config


def recompression() -> RecompressionSettings:
    """The demo's, of whole clips."""
    settings = demo_config()["training"]["recompression"]
    return RecompressionSettings(**{key: settings[key] for key in settings if key not in ("whole_clip", "variants")})


def groups_of(demo: Path) -> dict[tuple[str, str], int]:
    """The group of each real video (part, name): people who appear together are in one group, and groups are of about
    the same number of videos."""
    people = {}
    for part in DEMO["data"]["parts"]:
        for name, entry in json.loads((demo / "data" / part / "metadata.json").read_text(encoding="utf-8")).items():
            if entry.get("people"):
                people[part, name] = frozenset(entry["people"])
    circles: list[set[str]] = []
    for shown in people.values():
        joined = [circle for circle in circles if circle & shown]
        circles = [circle for circle in circles if circle not in joined] + [set(shown).union(*joined)]
    size = {id(circle): sum(shown <= circle for shown in people.values()) for circle in circles}
    counts, group_of = [0] * GROUPS, {}
    for circle in sorted(circles, key=lambda circle: (-size[id(circle)], min(circle))):
        group = counts.index(min(counts))
        counts[group] += size[id(circle)]
        group_of |= {video: group for video, shown in people.items() if shown <= circle}
    return group_of


@dataclass(frozen=True)
class Training:
    """A recipe, the group that it does not see, and the seed."""

    name: str
    group: int
    seed: int

    @property
    def recipe(self) -> Recipe:
        return RECIPES[self.name]

    @property
    def file(self) -> str:
        return f"{self.name}-{self.group}-{self.seed}-{digest(asdict(self.recipe), DEMO)}"


@dataclass(frozen=True)
class Trainings:
    """All trainings of one call. ``prepare`` is called in each process."""

    demo: Path
    folder: Path

    def prepare(self) -> Callable[[Training], dict[str, Any]]:
        torch.set_num_threads(1)
        return self.result

    def result(self, which: Training) -> dict[str, Any]:
        """The labels and scores of a training, read from the folder or computed."""
        path = self.folder / f"{which.file}.json"
        if not path.exists():
            write_text(path, json.dumps(self._train(which, path.with_suffix(""))))
            shutil.rmtree(path.with_suffix(""))
        return json.loads(path.read_text(encoding="utf-8"))

    def _train(self, which: Training, folder: Path) -> dict[str, Any]:
        recipe, group_of = which.recipe, groups_of(self.demo)
        clips, one = (Clips(self.demo, self.folder, windows) for windows in (recipe.windows, 1))
        trained, held_out = (
            [
                pair
                for part in made.parts
                for pair in made.pairs(part)
                if (group_of[part, pair.real] == which.group) is wanted
            ]
            for made, wanted in ((clips, False), (one, True))
        )
        config = demo_config()
        model, training = config["models"]["large_crop"], config["training"]
        crop = {key: round(side * recipe.side) for key, side in model["crop"].items() if key != "pad"}
        model |= {"draw_frames": recipe.draw_frames, "seed": which.seed, "crop": model["crop"] | crop}
        samples = SampleSettings.of(model, training)
        steps = {key: training[key] for key in STEPS}
        steps["iterations"] = round(steps["iterations"] * recipe.iterations)
        steps["learning_rate"] *= recipe.learning_rate
        settings = published(TrainSettings, architecture=model["architecture"], kind=model["kind"], **steps)
        source = config["pretrained"][model["architecture"]].removeprefix("package:")
        pretrained = load_pretrained(source, model["architecture"])
        result = train(
            TrainData(trained, [], clips.stores, pretrained, clips.variants),
            settings,
            samples,
            RunSettings(folder, [CPU], checkpoint_every=100),
        )
        size = (samples.crop.height, samples.crop.width)
        network = build_model(settings.architecture, settings.kind, size, len(samples.frames))
        network.load_state_dict(result.state)
        measured = replace(samples, recompression=replace(samples.recompression, pixel_format="yuv420p"))
        held = load_validation(held_out, one.stores, measured, 1)
        scores = {name: clip_scores(network, faces, CPU, "fp32").tolist() for name, faces in held.clips.items()}
        return {"pairs": len(trained), "labels": held.labels.tolist(), "scores": scores}


# The results of a recipe: for each seed those without each of the groups.
OfRecipe = Sequence[Sequence[Mapping[str, Any]]]


def values(of_recipe: OfRecipe, clips: str) -> np.ndarray:
    """The measures of each training on the people whom it has not seen: trainings x columns."""
    return np.array([measures(of_seed, group, clips) for of_seed in of_recipe for group in range(GROUPS)])


def measures(of_seed: Sequence[Mapping[str, Any]], group: int, clips: str) -> tuple[float, ...]:
    """The columns of the table for the people of a group."""

    def known(rows: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate([row["labels"] for row in rows]), np.concatenate([row["scores"][clips] for row in rows])

    labels, scores = known([of_seed[group]])
    others, of_others = known([row for number, row in enumerate(of_seed) if number != group])
    settings = published(EnsembleSettings)
    calibrated = [settings]
    for kind in LIMITS:
        value = fit(kind, of_others, np.arange(len(others)), others, settings)
        calibrated.append(with_value(settings, kind, value))
    return (
        log_loss(labels, scores),
        *(log_loss(labels, confident(scores, of)) for of in calibrated),
        auc(labels, scores),
    )


def tables(results: Mapping[str, OfRecipe], clips: str) -> str:
    """Two Markdown tables: of measures, and of their differences from the first recipe."""
    (base, of_base), *others = ((name, values(of_recipe, clips)) for name, of_recipe in results.items())
    lines = [
        f"| {clips} clips | pairs | visits of each | {' | '.join(COLUMNS)} |",
        f"|---|---|---|{'---|' * len(COLUMNS)}",
    ]
    for name, found in [(base, of_base), *others]:
        pairs = statistics.mean(row["pairs"] for of_seed in results[name] for row in of_seed)
        training = demo_config()["training"]
        visits = training["iterations"] * RECIPES[name].iterations * training["batch_pairs"] / pairs
        lines.append(f"| `{name}` | {pairs:.0f} | {visits:.0f} | {' | '.join(map(spread, found.T))} |")
    lines += [f"\n| difference from `{base}` | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for name, found in others:
        differences = found - of_base
        better = [*(differences[:, :-1] < 0).sum(axis=0), (differences[:, -1] > 0).sum()]
        cells = [
            f"{spread(column)} ({count} of {len(found)})" for column, count in zip(differences.T, better, strict=True)
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(numbers: Sequence[float]) -> str:
    return f"{statistics.mean(numbers):.3f} ± {statistics.stdev(numbers):.3f}"


def given_up(which: Training, reason: str) -> NoReturn:
    raise UserError(f"The training {which.file} failed: {reason}. Run again to go on.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each recipe without each group")
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="the folder of a finished demo")
    parser.add_argument("--folder", type=Path, default=Path("small-data"), help="folder of the results")
    parser.add_argument("--jobs", type=int, default=2, help="parallel trainings, one thread each")
    options = parser.parse_args()
    recipes = list(dict.fromkeys(["published", *options.recipes]))
    # The groups begin with different seeds, so that one seed each is a sample of seeds, too.
    which = [
        Training(name, group, group + number)
        for number in range(options.seeds)
        for name in recipes
        for group in range(GROUPS)
    ]
    try:
        if not (options.demo / "results" / "aligned").is_dir():
            raise UserError(f"There is no finished demo in {options.demo}. Run `make demo`, or set --demo.")
        for windows in sorted({1} | {RECIPES[name].windows for name in recipes}):
            Clips(options.demo, options.folder, windows).make(options.jobs)
        results: dict[str, list[list[dict[str, Any]]]] = {name: [[] for _ in range(options.seeds)] for name in recipes}
        prepare = Trainings(options.demo, options.folder).prepare
        done = map_in_order(prepare, which, options.jobs, None, given_up)
        for number, (training, result) in enumerate(zip(which, done, strict=True), 1):
            results[training.name][training.seed - training.group].append(result)
            print(f"{number} of {len(which)}: {training.file}", file=sys.stderr, flush=True)
        for clips in ("plain", "recompressed"):
            print(f"\n{tables(results, clips)}")
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
