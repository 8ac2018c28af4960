"""What was recorded about finished jobs: by Snakemake, and by workflow/accept.py."""
