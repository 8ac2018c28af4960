"""Prints a summary of a finished demo: ``python -m dfdc.demo.summary FOLDER``."""

import json
import sys
from pathlib import Path


def summary(folder: Path) -> str:
    """The path of the submission, its log loss and AUC, and the next steps."""
    evaluation = json.loads((folder / "results" / "evaluation.json").read_text(encoding="utf-8"))
    ensemble = evaluation["ensemble"]
    return (
        f"\nThe submission:  {folder / 'submission.csv'}  ({evaluation['videos']['total']} videos)\n"
        f"Log loss:        {ensemble['log_loss']:.4f}   (a constant score of 0.5 gives 0.6931)\n"
        f"AUC:             {ensemble['auc']:.4f}   (on people who do not appear in training)\n"
        f"More:            {folder / 'results' / 'evaluation.json'}\n\n"
        "To run on the DFDC dataset, with the data in the folder data:\n"
        "  . .venv/bin/activate && snakemake --cores all submission.csv\n"
    )


if __name__ == "__main__":
    print(summary(Path(sys.argv[1])))
