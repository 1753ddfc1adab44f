"""NAFNet (Chen et al., ECCV 2022) in PyTorch eager, with the publications' parameter counts."""

import torch
import torch.nn as nn

from .conv import conv


class LayerNorm2d(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))

    def forward(self, x):
        mean = x.mean(1, keepdim=True)
        var = (x - mean).pow(2).mean(1, keepdim=True)
        x = (x - mean) / (var + 1e-6).sqrt()
        return self.weight.view(1, -1, 1, 1) * x + self.bias.view(1, -1, 1, 1)


class NafBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm1, self.norm2 = LayerNorm2d(c), LayerNorm2d(c)
        self.conv1, self.conv2, self.conv3 = conv(c, 2 * c, 1), conv(2 * c, 2 * c, 3, True, 2 * c), conv(c, c, 1)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(c, c, 1))
        self.conv4, self.conv5 = conv(c, 2 * c, 1), conv(c, c, 1)
        self.beta, self.gamma = nn.Parameter(torch.zeros(1, c, 1, 1)), nn.Parameter(torch.zeros(1, c, 1, 1))

    def forward(self, x):
        a, b = self.conv2(self.conv1(self.norm1(x))).chunk(2, 1)
        y = a * b
        x = x + self.conv3(y * self.sca(y)) * self.beta
        a, b = self.conv4(self.norm2(x)).chunk(2, 1)
        return x + self.conv5(a * b) * self.gamma


class NafNet(nn.Module):
    config = {"architecture": "nafnet"}

    def __init__(self, c=32, enc=(1, 1, 1, 28), middle=1, dec=(1, 1, 1, 1)):
        super().__init__()
        stack = lambda n, c: nn.Sequential(*[NafBlock(c) for _ in range(n)])
        n = len(enc)
        self.intro, self.ending = conv(3, c, 3), conv(c, 3, 3)
        self.encoders = nn.ModuleList(stack(enc[i], c << i) for i in range(n))
        self.downs = nn.ModuleList(nn.Conv2d(c << i, c << (i + 1), 2, 2) for i in range(n))
        self.middle = stack(middle, c << n)
        self.ups = nn.ModuleList(
            nn.Sequential(conv(c << i, c << (i + 1), 1, False), nn.PixelShuffle(2)) for i in range(n, 0, -1)
        )
        self.decoders = nn.ModuleList(stack(dec[i], c << (n - 1 - i)) for i in range(n))

    def forward(self, x):
        y, skips = self.intro(x), []
        for encoder, down in zip(self.encoders, self.downs):
            y = encoder(y)
            skips.append(y)
            y = down(y)
        y = self.middle(y)
        for up, decoder in zip(self.ups, self.decoders):
            y = decoder(up(y) + skips.pop())
        return self.ending(y) + x
