"""What is recorded from one run to the next: by Snakemake, by workflow/accept.py, and hashes beside these records."""
