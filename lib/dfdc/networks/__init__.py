"""EfficientNet for single frames and for sequences: architecture, inputs, precision and weights."""
