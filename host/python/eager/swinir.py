"""SwinIR (Liang et al., ICCVW 2021) in PyTorch eager, with the publications' parameter counts."""

import torch
import torch.nn as nn

from .conv import conv


def partition(x, w):
    b, h, v, c = x.shape
    return x.view(b, h // w, w, v // w, w, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, w * w, c)


class SwinBlock(nn.Module):
    def __init__(self, c, heads, w, shift, ratio=2):
        super().__init__()
        self.heads, self.w, self.shift = heads, w, shift
        self.norm1, self.norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.table = nn.Parameter(torch.zeros((2 * w - 1) ** 2, heads))
        y, x = torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")
        at = torch.stack([y.flatten(), x.flatten()])
        delta = at[:, :, None] - at[:, None, :] + w - 1
        self.register_buffer("index", delta[0] * (2 * w - 1) + delta[1])
        self.qkv, self.proj = nn.Linear(c, 3 * c), nn.Linear(c, c)
        self.mlp = nn.Sequential(nn.Linear(c, ratio * c), nn.GELU(), nn.Linear(ratio * c, c))
        self.masks = {}

    def mask(self, h, v):
        if (h, v) not in self.masks:
            image, count = torch.zeros(1, h, v, 1), 0
            cuts = (slice(0, -self.w), slice(-self.w, -self.shift), slice(-self.shift, None))
            for rows in cuts:
                for columns in cuts:
                    image[:, rows, columns] = count
                    count += 1
            regions = partition(image, self.w).squeeze(-1)
            mask = (regions[:, None] != regions[:, :, None]).float() * -100.0
            self.masks[h, v] = mask.to(self.table)
        return self.masks[h, v]

    def attention(self, x, mask):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        attn = (q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)
        attn = attn + self.table[self.index.view(-1)].view(n, n, -1).permute(2, 0, 1)
        if mask is not None:
            attn = (attn.view(-1, len(mask), self.heads, n, n) + mask[None, :, None]).view(-1, self.heads, n, n)
        return self.proj((attn.softmax(-1) @ v).transpose(1, 2).reshape(b, n, c))

    def forward(self, x):
        b, h, v, c = x.shape
        w, s = self.w, self.shift
        y = self.norm1(x)
        y = torch.roll(y, (-s, -s), (1, 2)) if s else y
        y = self.attention(partition(y, w), self.mask(h, v) if s else None)
        y = y.view(b, h // w, v // w, w, w, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, v, c)
        x = x + (torch.roll(y, (s, s), (1, 2)) if s else y)
        return x + self.mlp(self.norm2(x))


class SwinGroup(nn.Module):
    def __init__(self, c, depth, heads, w):
        super().__init__()
        self.blocks = nn.Sequential(*[SwinBlock(c, heads, w, 0 if i % 2 == 0 else w // 2) for i in range(depth)])
        self.conv = conv(c, c, 3)

    def forward(self, x):
        return x + self.conv(self.blocks(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class SwinIr(nn.Module):
    config = {"architecture": "swinir"}

    def __init__(self, c=180, depths=(6,) * 6, heads=6, w=8):
        super().__init__()
        self.first, self.after, self.last = conv(3, c, 3), conv(c, c, 3), conv(c, 3, 3)
        self.embed_norm, self.norm = nn.LayerNorm(c), nn.LayerNorm(c)
        self.groups = nn.Sequential(*[SwinGroup(c, depth, heads, w) for depth in depths])

    def forward(self, x):
        first = self.first(x)
        y = self.norm(self.groups(self.embed_norm(first.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
        return x + self.last(self.after(y) + first)
