"""What lies on disk: training parts and test shards, labels, tables and stores of pictures."""
