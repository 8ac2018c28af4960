"""Jobs of the workflow: logs, attempts, locks, GPU leases, provenance. Only this package depends on Snakemake."""
