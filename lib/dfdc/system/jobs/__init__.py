"""Jobs of a workflow: logs, attempts, locks, GPU leases, provenance. The only package that knows of Snakemake."""
