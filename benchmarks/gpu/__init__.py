"""What a GPU does with this project: proofs first, then measurements, in one run of a few minutes."""
