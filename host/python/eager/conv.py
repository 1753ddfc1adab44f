"""The convolution that all of them are made of."""

import torch.nn as nn


def conv(i, o, k, bias=True, groups=1):
    return nn.Conv2d(i, o, k, padding=k // 2, bias=bias, groups=groups)
