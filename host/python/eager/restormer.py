"""Restormer (Zamir et al., CVPR 2022) in PyTorch eager, with the publications' parameter counts."""

import torch
import torch.nn as nn
import torch.nn.functional as F

from .conv import conv


class ChannelNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x):
        h, w = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)
        mean = x.mean(-1, keepdim=True)
        var = x.var(-1, keepdim=True, unbiased=False)
        x = (x - mean) / torch.sqrt(var + 1e-5) * self.weight + self.bias
        return x.transpose(1, 2).unflatten(2, (h, w))


class RestormerBlock(nn.Module):
    def __init__(self, dim, heads, factor=2.66):
        super().__init__()
        hidden = int(dim * factor)
        self.heads = heads
        self.norm1, self.norm2 = ChannelNorm(dim), ChannelNorm(dim)
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv, self.qkv_dw = conv(dim, dim * 3, 1, False), conv(dim * 3, dim * 3, 3, False, dim * 3)
        self.out = conv(dim, dim, 1, False)
        self.ffn_in, self.ffn_dw = conv(dim, hidden * 2, 1, False), conv(hidden * 2, hidden * 2, 3, False, hidden * 2)
        self.ffn_out = conv(hidden, dim, 1, False)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv_dw(self.qkv(self.norm1(x))).chunk(3, 1)
        q, k, v = (t.reshape(b, self.heads, c // self.heads, h * w) for t in (q, k, v))
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
        attn = ((q @ k.transpose(-2, -1)) * self.temperature).softmax(-1)
        x = x + self.out((attn @ v).reshape(b, c, h, w))
        x1, x2 = self.ffn_dw(self.ffn_in(self.norm2(x))).chunk(2, 1)
        return x + self.ffn_out(F.gelu(x1) * x2)


class Restormer(nn.Module):
    config = {"architecture": "restormer"}

    def __init__(self, d=48, blocks=(4, 6, 6, 8), refinement=4, heads=(1, 2, 4, 8)):
        super().__init__()
        stack = lambda n, dim, h: nn.Sequential(*[RestormerBlock(dim, h) for _ in range(n)])
        down = lambda n: nn.Sequential(conv(n, n // 2, 3, False), nn.PixelUnshuffle(2))
        up = lambda n: nn.Sequential(conv(n, n * 2, 3, False), nn.PixelShuffle(2))
        self.embed = conv(3, d, 3, False)
        self.encoders = nn.ModuleList(stack(blocks[i], d << i, heads[i]) for i in range(4))
        self.downs = nn.ModuleList(down(d << i) for i in range(3))
        self.ups = nn.ModuleList(up(d << i) for i in (3, 2, 1))
        self.reduce = nn.ModuleList([conv(d * 8, d * 4, 1, False), conv(d * 4, d * 2, 1, False), nn.Identity()])
        self.decoders = nn.ModuleList(stack(blocks[i], d << max(i, 1), heads[i]) for i in (2, 1, 0))
        self.refinement = stack(refinement, d * 2, heads[0])
        self.output = conv(d * 2, 3, 3, False)

    def forward(self, x):
        y, skips = self.embed(x), []
        for encoder, down in zip(self.encoders, self.downs):
            y = encoder(y)
            skips.append(y)
            y = down(y)
        y = self.encoders[3](y)
        for up, reduce, decoder in zip(self.ups, self.reduce, self.decoders):
            y = decoder(reduce(torch.cat([up(y), skips.pop()], 1)))
        return self.output(self.refinement(y)) + x
