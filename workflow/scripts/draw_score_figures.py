"""Plot the scores of the test videos and, if labels are known, ROC curves and the largest errors."""

from pathlib import Path

from dfdc.config.paths import test_labels_file
from dfdc.data.labels import read_labels
from dfdc.data.schemas.crops import CROPS
from dfdc.data.schemas.scores import SCORES
from dfdc.data.schemas.videos import TEST_VIDEOS
from dfdc.data.tables import read_table
from dfdc.figures.scores import Scores, plot_mistakes, plot_roc, plot_scores, plot_transform
from dfdc.stages.prediction.ensemble import ensemble_settings
from dfdc.system.jobs.log import rule_log


def main() -> None:
    inputs, output = snakemake.input, snakemake.output
    labels = test_labels_file(snakemake.config)
    settings = ensemble_settings(snakemake.params.settings["ensemble"], inputs.calibration)
    scores = Scores.from_tables(
        [video for path in inputs.videos for video in read_table(path, TEST_VIDEOS)["video"].to_pylist()],
        {
            model: [read_table(path, SCORES) for path in inputs.scores if Path(path).parent.name == model]
            for model in snakemake.params.models["models"]
        },
        read_labels(labels) if labels else {},
        settings,
    )
    plot_transform(output.transform, scores, settings)
    plot_scores(output.scores, scores)
    if scores.labels:
        plot_roc(output.roc, scores)
        crops = [read_table(path, CROPS) for path in inputs.crops]
        plot_mistakes(output.mistakes, scores, crops, [Path(path) for path in inputs.stores])


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_score_figures"):
        main()
