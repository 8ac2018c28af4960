"""Generate the demo dataset: settings → training parts, test videos and their labels."""

from pathlib import Path

from dfdc.config.demo import DemoSettings
from dfdc.demo.dataset import make_demo_data
from dfdc.system.jobs.log import rule_log


def main() -> None:
    root = Path(snakemake.output.labels).parent
    make_demo_data(root, DemoSettings(**snakemake.params.settings["demo"]), workers=snakemake.threads)


if __name__ == "__main__":
    with rule_log(snakemake.log[0], "make_demo_data"):
        main()
