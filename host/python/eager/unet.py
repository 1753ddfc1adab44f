"""A plain U-Net in PyTorch eager, with the publications' parameter counts."""

import torch
import torch.nn as nn

from .conv import conv


class UNet(nn.Module):
    config = {"architecture": "unet"}

    def __init__(self, width=32, depth=3):
        super().__init__()
        block = lambda i, o: nn.Sequential(conv(i, o, 3), nn.ReLU(), conv(o, o, 3), nn.ReLU())
        at = lambda level: width << level
        self.encoders = nn.ModuleList(block(at(i) if i else 3, at(i)) for i in range(depth))
        self.downs = nn.ModuleList(nn.Conv2d(at(i), at(i + 1), 2, 2) for i in range(depth))
        self.latent = block(at(depth), at(depth))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(at(i + 1), at(i), 2, 2) for i in range(depth))
        self.decoders = nn.ModuleList(block(2 * at(i), at(i)) for i in range(depth))
        self.output = conv(width, 3, 3)

    def forward(self, x):
        y, skips = x, []
        for encoder, down in zip(self.encoders, self.downs):
            skips.append(encoder(y))
            y = down(skips[-1])
        y = self.latent(y)
        for up, decoder in zip(reversed(self.ups), reversed(self.decoders)):
            y = decoder(torch.cat([up(y), skips.pop()], 1))
        return self.output(y) + x
