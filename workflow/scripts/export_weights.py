"""Export trained weights in half precision, with everything that prediction needs in the metadata."""

from dfdc.networks.weights.export import export_weights
from dfdc.system.jobs.log import rule_log


def main() -> None:
    export_weights(snakemake.input.weights, snakemake.wildcards.model, snakemake.params.model, snakemake.output[0])


if __name__ == "__main__":
    with rule_log(snakemake.log[0], f"export_weights {snakemake.wildcards.model}"):
        main()
