"""Weights of the networks: reading them from any of the files they come in, checking and writing them.

Whatever a file calls its tensors, inside the project they have efficientnet-pytorch's names and are float32, except
``num_batches_tracked``, which is int64. Nothing is loaded that does not match the architecture in every name and shape.
"""
