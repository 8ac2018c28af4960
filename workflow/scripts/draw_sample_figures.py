"""Draw contact sheets of the training data: some pairs of clips → clips, mixup samples, network inputs."""

from pathlib import Path

from dfdc.data.schemas.pairs import PAIRS
from dfdc.data.tables import read_table
from dfdc.figures import samples as pictures
from dfdc.stages.training.samples import SampleSettings
from dfdc.system.jobs.log import rule_log


def main() -> None:
    output, settings = snakemake.output, snakemake.params.settings
    stores = {Path(path).stem: Path(path) for path in snakemake.input.stores}
    samples = pictures.Samples(read_table(snakemake.input.pairs[0], PAIRS), stores)
    models = {name: SampleSettings.of(model, settings["training"]) for name, model in settings["models"].items()}
    of_kind = {
        kind: {name: model for name, model in models.items() if model.kind == kind} for kind in ("frame", "sequence")
    }
    # Mixup samples are those of a frame model, if there is one; augmented ones are of the model that erases most.
    single = of_kind["frame"] or models
    plain, erasing = next(iter(single)), max(single, key=lambda name: single[name].augment.erasing)

    pictures.plot_clips(output.clips, samples, models[plain])
    pictures.plot_clip(output.clip, samples, models[plain])
    pictures.plot_mixup(output.mixup, samples, plain, models[plain])
    pictures.plot_augmented_mixup(output.augmented, samples, erasing, models[erasing])
    if snakemake.input.variants:
        tables = {Path(path).stem: Path(path) for path in snakemake.input.variants}
        pictures.plot_variants(output.variants, samples, models[plain], tables)
    if of_kind["frame"]:
        pictures.plot_frame_inputs(output.frame, samples, of_kind["frame"])
    if of_kind["sequence"]:
        pictures.plot_sequence_input(output.sequence, samples, of_kind["sequence"])


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "draw_sample_figures"):
        main()
