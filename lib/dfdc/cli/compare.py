"""Show how two runs differ: their settings, code and data, their metrics, and their training curves.

    dfdc compare demo other-demo
    dfdc compare before after --figure trainings.svg

RUN is a folder with results in it. The settings compared are those that Snakemake recorded with each result (.snakemake
in that folder), not those in a settings file. Metrics are compared on the videos that both runs have scored; the
difference is the second run minus the first, with its 95 % confidence interval (paired bootstrap over source videos).
If the interval excludes 0, the difference is more than chance, for these videos and these training runs: another
training seed makes a difference, too.

--figure plots the training curves of both runs in one figure.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from dfdc.config.settings import Config
from dfdc.data.schemas.evaluation import EVALUATED
from dfdc.data.schemas.training import METRICS, VALIDATION
from dfdc.data.tables import read_table
from dfdc.figures.comparison import Trainings, plot_comparison
from dfdc.stages.evaluation.paired import Comparison, Difference, compare_scores
from dfdc.system.errors import UserError
from dfdc.system.jobs.records.snakemake import Record, read_records
from dfdc.system.words import printable, some

SECTIONS = {field.name for field in fields(Config)}
DATA = {"videos", "labels", "metadata", "weights"}  # parameters that are hashes of what the user provides
# The measures that are shown of single models and pairs; of the ensemble, all are.
SHOWN = ("log_loss", "auc")
LAST = 0.1  # the share of a training's iterations over which its last loss is averaged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="the folder of a run, for example demo")
    parser.add_argument(
        "--figure", type=Path, metavar="FILE", help="plot the training curves of both runs in an .svg file"
    )


def run(options: argparse.Namespace) -> int:
    """Print the differences, and plot the training curves."""
    first, second = options.runs
    for folder in options.runs:
        if not (folder / "results").is_dir():
            raise UserError(f"{folder} is not the folder of a run: there is no folder results in it. Correct the path.")
    if options.figure and options.figure.suffix.lower() != ".svg":
        raise UserError(f"--figure writes .svg files, but {options.figure} is not one. Name another file.")
    names = [folder.resolve().name for folder in options.runs]
    names = ["A", "B"] if names[0] == names[1] else names
    trainings = [read_trainings(folder, name) for folder, name in zip(options.runs, names, strict=True)]
    lines = [f"A  {first}", f"B  {second}", "", *provenance(first, second)]
    for path, things, condition in (
        ("results/evaluation.parquet", "test videos", "test"),
        ("results/validation/evaluation.parquet", "validation clips", "plain"),
    ):
        lines += measures(first / path, second / path, things, condition)
    lines += about_trainings(*trainings)
    print(printable("\n".join(lines)))
    if options.figure:
        plot_comparison(options.figure, trainings)
        print(f"\nThe training curves of both: {options.figure}")
    return 0


# --- settings, code and data


def provenance(first: Path, second: Path) -> Iterator[str]:
    """What the results of both runs were made of, as far as it differs."""
    records = [existing(folder) for folder in (first, second)]
    for folder, of_run in zip((first, second), records, strict=True):
        if not of_run:
            yield f"Snakemake's records of {folder} are missing: what its results were made of is not known."
    if not all(records):
        return
    settings = [recorded_settings(of_run) for of_run in records]
    differing = {
        key: [of_run.get(key, "-") for of_run in settings]
        for key in sorted(settings[0].keys() | settings[1].keys())
        if settings[0].get(key) != settings[1].get(key)
    }
    yield "Settings that differ (A → B):" if differing else "Settings: the same."
    yield from (f"  {key}: {before} → {after}" for key, (before, after) in differing.items())
    code = [recorded_code(of_run) for of_run in records]
    changed = sorted(name for name in code[0].keys() & code[1].keys() if code[0][name] != code[1][name])
    yield f"Code that differs: {some(changed)}." if changed else "Code: the same."
    data = [recorded_data(of_run) for of_run in records]
    others = sorted(output for output in data[0].keys() & data[1].keys() if data[0][output] != data[1][output])
    yield f"Made of other data or weights: {some(others)}." if others else "Data: the same."


def existing(folder: Path) -> list[Record]:
    """The records of the results that are there."""
    return [record for record in read_records(folder) if (folder / record.output).exists()]


def recorded_settings(records: Sequence[Record]) -> dict[str, str]:
    """The settings of which results were made, {key: value}; several values if results were made of different ones."""
    values: dict[str, list[str]] = {}
    for record in records:
        for mapping in record.mappings():
            if mapping.keys() <= SECTIONS:
                for key, value in _leaves(mapping):
                    of_key = values.setdefault(key, [])
                    of_key += [str(value)] if str(value) not in of_key else []
    return {key: " and ".join(sorted(of_key)) for key, of_key in values.items()}


def recorded_code(records: Sequence[Record]) -> dict[str, set[str]]:
    """The hashes of each module and script that results depend on."""
    hashes: dict[str, set[str]] = {}
    for record in records:
        for mapping in record.mappings():
            for name, value in mapping.items():
                if name == "dfdc" or name.startswith("dfdc.") or name.endswith(".py"):
                    hashes.setdefault(name, set()).add(value)
    return hashes


def recorded_data(records: Sequence[Record]) -> dict[str, Any]:
    """The hashes of the user's data that results were made of, by the result."""
    return {
        record.output: mapping
        for record in records
        for mapping in record.mappings()
        if mapping.keys() <= DATA and any(mapping.values())
    }


def _leaves(mapping: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


# --- measures


def measures(first: Path, second: Path, things: str, condition: str) -> Iterator[str]:
    """The measures of both runs on their common items."""
    if not (first.is_file() and second.is_file()):
        yield from ("", f"Metrics on {things}: not in both runs.")
        return
    tables = [read_table(path, EVALUATED).to_pandas(use_threads=False) for path in (first, second)]
    compared = compare_scores(*(_of_one_kind(table, condition) for table in tables))
    if compared is None:
        yield from ("", f"Metrics on {things}: both runs have no item and no model in common.")
        return
    yield from ("", _heading(compared, things))
    rows = [["", "", "A", "B", "B - A", "95 % interval"]]
    for item in compared.differences:
        if item.models == "ensemble" or (item.metric in SHOWN and " + " not in item.models):
            rows.append(_row(item))
    yield from _columns(rows)


def _of_one_kind(table: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows of a condition, calibrated as published if there are several calibrations."""
    rows = table[table["condition"] == condition]
    kinds = rows["calibration"].unique()
    return rows[rows["calibration"] == "published"] if len(kinds) > 1 else rows


def _heading(compared: Comparison, things: str) -> str:
    lone = [
        f"{count} more only in {run}"
        for count, run in ((compared.only_first, "A"), (compared.only_second, "B"))
        if count
    ]
    more = f" ({' and '.join(lone)})" if lone else ""
    return f"Metrics on {compared.items} {things} of {compared.sources} source{'s' * (compared.sources != 1)}{more}:"


def _row(item: Difference) -> list[str]:
    values = [item.first, item.second, None if None in (item.first, item.second) else item.second - item.first]
    first, second, difference = ("-" if value is None else f"{value:.4f}" for value in values)
    limits = "-" if item.interval is None else "{:.4f} to {:.4f}".format(*item.interval)
    return [item.models, item.metric, first, second, difference, limits]


# --- trainings


def read_trainings(folder: Path, name: str) -> Trainings:
    """The tables of the trainings of a run."""
    models = sorted(path.parent.name for path in folder.glob("results/models/*/metrics.parquet"))
    tables = [
        {model: read_table(folder / f"results/models/{model}/{file}.parquet", schema) for model in models}
        for file, schema in (("metrics", METRICS), ("validation", VALIDATION))
    ]
    return Trainings(name, *tables)


def about_trainings(first: Trainings, second: Trainings) -> Iterator[str]:
    """The last losses of the trainings of both runs."""
    models = sorted(first.metrics.keys() | second.metrics.keys())
    if not models:
        return
    yield from ("", "Training runs, at their end (loss: mean of the last tenth; validation: log loss on plain clips):")
    rows = [["", "loss A", "loss B", "validation A", "validation B"]]
    for model in models:
        losses = [_last_loss(run.metrics.get(model)) for run in (first, second)]
        rows.append([model, *losses, *(_last_validation(run.validation.get(model)) for run in (first, second))])
    yield from _columns(rows)


def _last_loss(table: Any) -> str:
    if table is None:
        return "-"
    return f"{table['loss'].to_numpy()[-max(int(LAST * len(table)), 1) :].mean():.4f}"


def _last_validation(table: Any) -> str:
    rows = [row for row in table.to_pylist() if row["clips"] == "plain"] if table is not None else []
    return f"{rows[-1]['log_loss']:.4f}" if rows else "-"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows of a table, in columns; what is the same as in the row above is left out in the first one."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    above = ""
    for row in rows:
        first = row[0] if row[0] != above else ""
        above = row[0]
        yield (
            "  " + "  ".join(cell.ljust(width) for cell, width in zip((first, *row[1:]), widths, strict=True)).rstrip()
        )
