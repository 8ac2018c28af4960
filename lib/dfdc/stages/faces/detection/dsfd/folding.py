"""Batch norms folded into convolutions, for a copy of the network in low precision."""

import copy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils import fuse_conv_bn_eval

from dfdc.stages.faces.detection.dsfd.network import DSFD


def folded(network: DSFD, dtype: torch.dtype) -> DSFD:
    """A copy of a network in evaluation mode, converted to ``dtype``, that needs no batch norms.

    In evaluation mode a batch norm only scales and shifts each channel. The convolution before it does that with other
    weights, which are computed in float32 and rounded once. (Under autocast, all weights would be cast for each batch.)
    """
    network = copy.deepcopy(network)
    for module in network.modules():
        children = list(module.named_children())
        for (before, convolution), (name, norm) in pairwise(children):
            if isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, fuse_conv_bn_eval(convolution, norm))
                setattr(module, name, nn.Identity())
    return network.to(dtype)
