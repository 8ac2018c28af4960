"""Augmentation of training images.

On the CPU, for each sample: ``pair.transform_pair``, ``pair.draw_targets``, ``pair.draw_erasings``. Where the network
runs, for the whole batch: ``normalise`` both, ``mixup.mix`` them, ``erasing.erase_``.
"""
