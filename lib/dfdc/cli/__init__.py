"""The command ``dfdc``, which needs no Snakemake: it scores videos, and examines the machine and result files."""
