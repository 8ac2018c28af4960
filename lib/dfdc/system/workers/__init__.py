"""Worker processes: a pool of them, and what they may do."""
