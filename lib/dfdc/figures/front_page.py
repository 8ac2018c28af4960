"""The first page of the report: what came out, of which data, with which settings."""

import contextlib
import re
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.tables import read_table
from dfdc.figures.style import thousands
from dfdc.stages.evaluation.advice import advice
from dfdc.stages.evaluation.validation_report import PLAIN
from dfdc.system.checksums import read_json

EVALUATION, VALIDATION = Path("results/evaluation.json"), Path("results/validation/evaluation.json")
PAIRED, CALIBRATION = Path("results/pairs.parquet"), Path("results/validation/calibration.json")
SUBMISSION = Path("submission.csv")
KINDS = {"frame": "single frames", "sequence": "windows of frames"}


def front_page(
    config: Mapping[str, Any], models: Sequence[str], trained: Sequence[str], validated: bool, checkout: Path
) -> dict[str, Any]:
    """What the page says of the run in the working directory, in reStructuredText for its template.

    ``models``: all; ``trained``: those that this run trains; ``validated``: whether it sets clips aside; ``checkout``:
    the folder of the Snakefile.

    - ``results``: a row for each set of videos or clips and each system: what, log loss, AUC, with intervals;
    - ``about``: pairs of a name and a text, on data, settings, date and version;
    - ``advice``: a sentence on the calibration, or None;
    - ``style``: the style sheet of the report.
    """
    evaluation = read_json(EVALUATION) if config["data"]["test_labels"] else None
    validation = read_json(VALIDATION) if validated else None
    about = [
        *_data(config, evaluation, trained),
        *_settings(config, models, trained),
        ("Scores made on", _date(SUBMISSION)),
        ("Version", version(checkout)),
    ]
    return {
        "results": [tuple(map(_escaped, row)) for row in (*_test_rows(evaluation), *_validation_rows(validation))],
        "about": [tuple(map(_escaped, row)) for row in about],
        "advice": calibration_advice(config) if validated else None,
        "style": (checkout / "workflow/report/style.css").read_text(encoding="utf-8"),
    }


def _escaped(text: str) -> str:
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def calibration_advice(config: Mapping[str, Any]) -> str | None:
    """A sentence if the published exponent, which is in use, costs log loss for certain; None if not, or not known."""
    if config["ensemble"]["calibration"] != "published":
        return None
    try:
        return advice(read_json(CALIBRATION))
    except FileNotFoundError:
        return None


def _test_rows(evaluation: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    if evaluation is None:
        return []
    found = evaluation["ensemble"]
    rows = [_row(f"{thousands(found['videos'])} test videos, ensemble", found)]
    return rows + [_row(f"test videos, model {name}", of_model) for name, of_model in evaluation["models"].items()]


def _validation_rows(validation: Mapping[str, Any] | None) -> list[tuple[str, str, str]]:
    if validation is None:
        return []
    found = validation["conditions"][PLAIN]["ensemble"]
    words = f"{thousands(found['clips'])} validation clips of {thousands(found['sources'])} real videos and their fakes"
    return [_row(f"{words}, ensemble", found)]


def _row(what: str, found: Mapping[str, Any]) -> tuple[str, str, str]:
    return what, _measured(found, "log_loss"), _measured(found, "auc")


def _measured(found: Mapping[str, Any], measure: str) -> str:
    """A measure with its interval, in words."""
    if found[measure] is None:
        return "not defined"
    interval = found["intervals"][measure]
    return f"{found[measure]:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


def _data(
    config: Mapping[str, Any], evaluation: Mapping[str, Any] | None, trained: Sequence[str]
) -> list[tuple[str, str]]:
    rows = []
    if trained:
        pairs = read_table(PAIRED, PAIRS).select(["part", "real", "fake", "split"]).to_pandas(use_threads=False)
        words = []
        for split, name in (("train", "to train on"), ("validation", "for validation")):
            of_split = pairs[pairs["split"] == split]
            real, fake = (len(of_split[["part", kind]].drop_duplicates()) for kind in ("real", "fake"))
            videos = f"{thousands(real)} real, {thousands(fake)} fake videos"
            words.append(f"{thousands(len(of_split))} pairs of clips {name} ({videos})")
        parts = pairs["part"].nunique()
        rows.append(("Training data", f"{', '.join(words)}, of {thousands(parts)} part{'s' if parts != 1 else ''}"))
    if evaluation is not None:
        videos = evaluation["videos"]
        by_number = sorted(videos["by_status"].items(), key=lambda state: -state[1])
        states = ", ".join(f"{thousands(count)} {state}" for state, count in by_number)
        rows.append(
            ("Test videos", f"{thousands(videos['total'])}, {thousands(videos['labelled'])} labelled ({states})")
        )
    if "demo" in config:
        rows.append(
            ("Demo", "the data are made of a few faces: the numbers say that the parts work together, not how well")
        )
    return rows


def _settings(config: Mapping[str, Any], models: Sequence[str], trained: Sequence[str]) -> list[tuple[str, str]]:
    rows = []
    for name in models:
        model, crop = config["models"][name], config["models"][name]["crop"]
        words = [model["architecture"], KINDS[model["kind"]], f"{crop['width']} x {crop['height']} pixels"]
        words.append(f"seed {model['seed']}" if name in trained else f"weights {Path(model['weights']).name}")
        rows.append((f"Model {name}", ", ".join(words)))
    if trained:
        training = config["training"]
        rows.append(
            (
                "Training",
                f"{thousands(training['iterations'])} iterations of {training['batch_pairs']} pairs, "
                f"learning rate {training['learning_rate']:g}, mixup alpha {training['mixup_alpha']:g}",
            )
        )
    ensemble = config["ensemble"]
    published = f"published exponent {ensemble['exponent']:g}"
    in_use = published if ensemble["calibration"] == "published" else f"fitted {ensemble['calibration']}"
    return [
        *rows,
        ("Face detector", config["detection"]["test"]["detector"]),
        ("Calibration", f"{in_use}, clipped to {ensemble['clip'][0]:g} to {ensemble['clip'][1]:g}"),
    ]


def _date(path: Path) -> str:
    with contextlib.suppress(OSError):
        return f"{datetime.fromtimestamp(path.stat().st_mtime):%Y-%m-%d %H:%M}"
    return "unknown"


def version(checkout: Path) -> str:
    """The version of this project, and the commit if it is a git checkout."""
    try:
        about = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    except FileNotFoundError:  # only what a run needs was copied
        return "unknown"
    if not (checkout / ".git").exists():  # git would look in the folders above
        return about
    git = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(git, capture_output=True, text=True, check=True, timeout=10)
        return f"{about}, commit {done.stdout.strip()}"
    return about
