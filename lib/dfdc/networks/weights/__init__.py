"""Weights of the networks: reading all supported file formats, checking, and writing.

Whatever the names in a file, tensors in the project have efficientnet-pytorch's names and are float32, except
``num_batches_tracked``, which is int64. Weights are only loaded if all names and shapes match the architecture.
"""
