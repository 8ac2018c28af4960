"""Third-place solution of the Deepfake Detection Challenge, as a library. It does not need Snakemake."""
