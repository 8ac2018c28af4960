"""What to tell a person when the demo is done: ``python -m dfdc.demo.summary FOLDER``."""

import json
import sys
from pathlib import Path


def summary(folder: Path) -> str:
    """Where the submission lies, how good it is, and how to go on from here."""
    evaluation = json.loads((folder / "results" / "evaluation.json").read_text(encoding="utf-8"))
    ensemble = evaluation["ensemble"]
    return (
        f"\nThe submission:  {folder / 'submission.csv'}  ({evaluation['videos']['total']} videos)\n"
        f"Log loss:        {ensemble['log_loss']:.4f}   (a guess of 0.5 gives 0.6931)\n"
        f"AUC:             {ensemble['auc']:.4f}   (on people who do not appear in training)\n"
        f"More:            {folder / 'results' / 'evaluation.json'}\n\n"
        "The real thing, with the data set in the folder data:\n"
        "  . .venv/bin/activate && snakemake --cores all submission.csv\n"
    )


if __name__ == "__main__":
    print(summary(Path(sys.argv[1])))
