"""The command ``dfdc``, which works without Snakemake: it scores videos, and inspects the machine and result files."""
