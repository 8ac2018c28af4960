"""Data on disk: training parts, test shards, labels, tables, and stores of images."""
