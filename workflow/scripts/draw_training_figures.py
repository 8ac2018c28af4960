"""Plot the training curves of all models: metrics and validation results → figures."""

from dfdc.data.schemas.training import METRICS, VALIDATION
from dfdc.data.tables import read_table
from dfdc.figures.training import plot_training, plot_validation
from dfdc.system.jobs.log import rule_log


def main() -> None:
    models, settings = snakemake.params.models["models"], snakemake.params.settings["training"]
    metrics = [read_table(path, METRICS) for path in snakemake.input.metrics]
    validation = [read_table(path, VALIDATION) for path in snakemake.input.validation]
    of_model = dict(zip(models, metrics, strict=True))
    plot_training(snakemake.output.training, of_model, settings["mixup_alpha"], settings["warmup_iterations"])
    plot_validation(snakemake.output.validation, dict(zip(models, validation, strict=True)))


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_training_figures"):
        main()
