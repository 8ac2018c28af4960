"""Prints a summary of a finished demo: ``python -m dfdc.demo.summary FOLDER SETTINGS…``."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

DEMO = Path("demo")  # where `make demo` works


def summary(folder: Path, settings: Sequence[str]) -> str:
    """The path of the submission, its log loss and AUC, and the next steps.

    ``settings``: the files of the run, the demo's own first.
    """
    evaluation = json.loads((folder / "results" / "evaluation.json").read_text(encoding="utf-8"))
    ensemble = evaluation["ensemble"]
    # Weights that are handed on bring their settings along.
    brought = (folder / "results" / "release").is_dir()
    files = "" if brought else "".join(f" --config {path}" for path in settings)
    own = f" CONFIG={shlex.quote(' '.join(settings[1:]))}" if settings[1:] else ""
    # make report is about the demo in demo; the smallest one has a folder of its own.
    report = f"make report{own}, and open {folder / 'report.html'}"
    figures = report if folder == DEMO else folder / "results" / "figures"
    return (
        f"\nThe submission:  {folder / 'submission.csv'}  ({evaluation['videos']['total']} videos)\n"
        f"Log loss:        {ensemble['log_loss']:.4f}   (a constant score of 0.5 gives 0.6931)\n"
        f"AUC:             {ensemble['auc']:.4f}   (on people who do not appear in training)\n"
        f"More:            {folder / 'results' / 'evaluation.json'}\n\n"
        "What you can do next, after  . .venv/bin/activate\n"
        f"  score videos:        dfdc score {folder / 'data' / 'test_videos'} --weights {folder}{files}\n"
        f"  see all figures:     {figures}\n"
        "  train on your data:  dfdc doctor && snakemake --cores all submission.csv  (see docs/your-own-data.md)\n"
    )


if __name__ == "__main__":
    print(summary(Path(sys.argv[1]), sys.argv[2:]))
