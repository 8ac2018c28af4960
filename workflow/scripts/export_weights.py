"""Export trained weights in half precision, with everything that prediction needs in the metadata."""

from dfdc.networks.weights.export import export_weights
from dfdc.system.jobs.log import rule_log


def main() -> None:
    name = snakemake.wildcards.model
    weights = snakemake.config["models"][name]["weights"] or snakemake.input.weights
    export_weights(weights, name, snakemake.params.settings["models"][name], snakemake.output[0])


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"export_weights {snakemake.wildcards.model}"):
        main()
