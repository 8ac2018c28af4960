"""How far the demo's numbers depend on chance: its trainings again with other seeds, and as other processors round.

    make demo
    python benchmarks/demo_range.py [--demo demo] [--folder demo-range] [--seeds 3] [--instructions all avx2]

The demo's three trainings, and all that follows from them, are run with other seeds (`models.*.seed`), and each with
fewer of the processor's vector instructions. PyTorch and oneDNN then compute sums in another order and round them
differently, as they do on another processor: a stand-in for one, which is why the first seed counts too. The data are
the demo's: its faces, clips, pairs and crops are shared by links and not computed again. So the range has nothing of
other people or other videos.

- `all`: the instructions that this processor has. With the first seed, this is the demo itself.
- `avx2`: no AVX-512.
- `sse`: neither AVX-512 nor AVX2; slow.

If the demo was made with `make demo CONFIG=my.yaml`, give that file with --config, too. Each run is a folder of its own
below --folder, which Snakemake finishes if it was stopped, and leaves alone if nothing
has changed. The tables have the least and the largest number of all runs: of the test videos, and of the validation
clips as they were cut and compressed in several ways.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from settings import CONFIG, DEMO

from dfdc.config.reading import merged, read_changes
from dfdc.system.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
# What comes before the trainings; all else in the folder of results is computed by each run.
SHARED = ("detections", "videos", "tracks", "aligned", "clips", "recompressed", "pairs.parquet", "weights")
SHARED += ("test/detections", "test/videos", "test/tracks", "test/crops")
RESULTS = ("results/evaluation.json", "results/validation/evaluation.json")
INSTRUCTIONS = {
    "all": {},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "sse": {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"},
}
SEED_STEP = 1000  # between two runs; the models' own seeds are closer together
MEASURES = {"log loss": "log_loss", "AUC": "auc", "calibration error": "calibration_error"}


@dataclass(frozen=True)
class Run:
    """One repetition of the demo's trainings, in a folder of its own."""

    seed: int
    instructions: str
    folder: Path

    @property
    def is_the_demo(self) -> bool:
        return self.seed == 0 and self.instructions == "all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, default=Path("demo"), help="the folder of a finished demo")
    parser.add_argument("--folder", type=Path, default=Path("demo-range"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3, help="how many, the demo's counted")
    parser.add_argument("--instructions", nargs="+", choices=INSTRUCTIONS, default=["all", "avx2"])
    parser.add_argument("--config", nargs="+", type=Path, default=[], help="the CONFIG of make demo")
    parser.add_argument("--cores", default="all")
    options = parser.parse_args()
    try:
        demo = options.demo.absolute()
        if missing := [name for name in RESULTS if not (demo / name).exists()]:
            raise UserError(f"There is no finished demo in {options.demo}: it has no {missing[0]}. Run `make demo`.")
        runs = list(planned(demo, options.folder.absolute(), options.seeds, options.instructions))
        results = []
        for number, run in enumerate(runs, 1):
            print(f"{number} of {len(runs)}: seed {run.seed}, instructions {run.instructions}", file=sys.stderr)
            results.append(result_of(run, demo, options.config, options.cores))
    except UserError as error:
        sys.exit(str(error))
    print_runs(runs, results)
    print_ranges(results)


def planned(demo: Path, folder: Path, seeds: int, instructions: Sequence[str]) -> Iterator[Run]:
    for seed in range(seeds):
        for name in dict.fromkeys(instructions):
            run = Run(seed, name, folder / f"seed-{seed}-{name}")
            yield Run(seed, name, demo) if run.is_the_demo else run


def result_of(run: Run, demo: Path, config: Sequence[Path], cores: str) -> dict[str, Any]:
    """The measures of a run, which Snakemake makes or finishes unless it is the demo."""
    if not run.is_the_demo:
        if not run.folder.exists():
            share(demo, run.folder)
        snakemake(run, config, cores)
    test, validation = (json.loads((run.folder / name).read_text(encoding="utf-8")) for name in RESULTS)
    return {"test videos": {"ensemble": test["ensemble"], **test["models"]}} | {
        f"validation clips, {name}": {"ensemble": measured["ensemble"], **measured["models"]}
        for name, measured in validation["conditions"].items()
    }


def share(demo: Path, folder: Path) -> None:
    """Make a folder with links to what the demo has computed before its trainings, and what Snakemake knows of it."""
    temporary = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(temporary, ignore_errors=True)
    for name in SHARED:
        source, target = demo / "results" / name, temporary / "results" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, copy_function=os.link)
        else:
            os.link(source, target)
    shutil.copytree(demo / ".snakemake", temporary / ".snakemake", ignore=shutil.ignore_patterns("locks", "log"))
    (temporary / "data").symlink_to(demo / "data")
    temporary.rename(folder)


def snakemake(run: Run, config: Sequence[Path], cores: str) -> None:
    """Run the trainings and what follows; those of an earlier, stopped run are continued."""
    models = merged(merged(CONFIG, DEMO), read_changes(config))["models"]
    seeds = {name: {"seed": model["seed"] + SEED_STEP * run.seed} for name, model in models.items()}
    settings = run.folder / "seeds.yaml"
    settings.write_text(yaml.safe_dump({"models": seeds}), encoding="utf-8")
    files = [*(path.absolute() for path in config), settings]
    command = [sys.executable, "-m", "snakemake", *RESULTS, "--cores", cores, "--profile", "profiles/demo"]
    command += ["--directory", str(run.folder), "--configfile", *map(str, files)]
    command += ["--prioritize", "results/models/seq/weights.safetensors"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | INSTRUCTIONS[run.instructions] | {"DFDC_BRIEF": "1", "PATH": path}
    if subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False).returncode != 0:
        raise UserError(f"The run in {run.folder} failed, see above. The same command goes on where it was.")


def print_runs(runs: Sequence[Run], results: Sequence[Mapping[str, Any]]) -> None:
    """Print log loss and AUC of each run on the test videos."""
    names = list(results[0]["test videos"])
    print(f"\n| seed | instructions | {' | '.join(names)} |\n|---|---{'|---' * len(names)}|")
    for run, result in zip(runs, results, strict=True):
        cells = [f"{measured['log_loss']:.3f}, {measured['auc']:.3f}" for measured in result["test videos"].values()]
        print(f"| {run.seed} | {run.instructions} | {' | '.join(cells)} |")


def print_ranges(results: Sequence[Mapping[str, Any]]) -> None:
    """Print the range of each measure, for each set of videos or clips."""
    for videos, measured in results[0].items():
        print(f"\n| {videos} | {' | '.join(MEASURES)} |\n|---{'|---' * len(MEASURES)}|")
        for name in measured:
            values = [[result[videos][name][measure] for result in results] for measure in MEASURES.values()]
            print(f"| {name} | {' | '.join(f'{min(of_one):.3f} to {max(of_one):.3f}' for of_one in values)} |")


if __name__ == "__main__":
    main()
