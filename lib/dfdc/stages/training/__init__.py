"""Training a model on mixtures of aligned real and fake faces."""
