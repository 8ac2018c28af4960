"""Export trained weights in half precision, with everything that prediction needs in the metadata."""

from dfdc.networks.weights.export import export_weights
from dfdc.system.jobs.log import rule_log


def main() -> None:
    name = snakemake.wildcards.model
    given = snakemake.config["models"][name]["weights"]
    source, settings = given or snakemake.input.weights, snakemake.params.settings["models"][name]
    export_weights(source, name, settings, snakemake.output[0], own=not given)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"export_weights {snakemake.wildcards.model}"):
        main()
