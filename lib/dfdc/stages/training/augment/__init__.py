"""Augmentation of training images.

On the CPU, for each sample: ``pair.transform_pair``, ``pair.draw_targets``, ``pair.draw_erasings``,
``pair.draw_erasing_noise``. On the device of the network, for the whole batch: ``normalise`` both, ``mixup.mix`` them,
``erasing.erase_``.
"""
