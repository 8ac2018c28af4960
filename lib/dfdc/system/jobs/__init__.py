"""Jobs of the workflow: logs, attempts, runs, GPU leases, provenance. Only this package depends on Snakemake."""
