"""What is recorded in ``.snakemake`` from one run to the next: by Snakemake itself, and hashes beside its records."""
