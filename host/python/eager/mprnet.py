"""MPRNet (Zamir et al., CVPR 2021) in PyTorch eager, with the publications' parameter counts."""

import torch
import torch.nn as nn

from .conv import conv


class Cab(nn.Module):
    def __init__(self, n, act, r=4):
        super().__init__()
        self.body = nn.Sequential(conv(n, n, 3, False), act, conv(n, n, 3, False))
        self.ca = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), conv(n, n // r, 1, False), nn.ReLU(), conv(n // r, n, 1, False), nn.Sigmoid()
        )

    def forward(self, x):
        y = self.body(x)
        return y * self.ca(y) + x


def resize(i, o, factor):
    scale = nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)
    return nn.Sequential(scale, conv(i, o, 1, False))


class Encoder(nn.Module):
    def __init__(self, sizes, act, fuse):
        super().__init__()
        self.levels = nn.ModuleList(nn.Sequential(Cab(n, act), Cab(n, act)) for n in sizes)
        self.downs = nn.ModuleList(resize(sizes[i], sizes[i + 1], 0.5) for i in range(2))
        if fuse:
            self.enc = nn.ModuleList(conv(n, n, 1, False) for n in sizes)
            self.dec = nn.ModuleList(conv(n, n, 1, False) for n in sizes)

    def forward(self, x, before=None):
        outputs = []
        for i, level in enumerate(self.levels):
            x = level(x if i == 0 else self.downs[i - 1](x))
            if before:
                x = x + self.enc[i](before[0][i]) + self.dec[i](before[1][i])
            outputs.append(x)
        return outputs


class Decoder(nn.Module):
    def __init__(self, sizes, act):
        super().__init__()
        self.levels = nn.ModuleList(nn.Sequential(Cab(n, act), Cab(n, act)) for n in sizes)
        self.skips = nn.ModuleList(Cab(n, act) for n in sizes[:2])
        self.ups = nn.ModuleList(resize(sizes[i + 1], sizes[i], 2) for i in range(2))

    def forward(self, encoded):
        third = self.levels[2](encoded[2])
        second = self.levels[1](self.ups[1](third) + self.skips[1](encoded[1]))
        return [self.levels[0](self.ups[0](second) + self.skips[0](encoded[0])), second, third]


class Sam(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = conv(n, n, 1, False), conv(n, 3, 1, False), conv(3, n, 1, False)

    def forward(self, x, image):
        image = self.conv2(x) + image
        return self.conv1(x) * torch.sigmoid(self.conv3(image)) + x, image


class OrsNet(nn.Module):
    def __init__(self, sizes, wide, cabs, act):
        super().__init__()
        body = lambda: nn.Sequential(*[Cab(wide, act) for _ in range(cabs)], conv(wide, wide, 3, False))
        up = lambda: nn.ModuleList([
            nn.Identity(), resize(sizes[1], sizes[0], 2),
            nn.Sequential(resize(sizes[2], sizes[1], 2), resize(sizes[1], sizes[0], 2)),
        ])
        side = lambda: nn.ModuleList(conv(sizes[0], wide, 1, False) for _ in range(3))
        self.orbs = nn.ModuleList(body() for _ in range(3))
        self.up_enc, self.up_dec, self.enc, self.dec = up(), up(), side(), side()

    def forward(self, x, encoded, decoded):
        for i, orb in enumerate(self.orbs):
            x = orb(x) + x + self.enc[i](self.up_enc[i](encoded[i])) + self.dec[i](self.up_dec[i](decoded[i]))
        return x


class MprNet(nn.Module):
    config = {"architecture": "mprnet"}

    def __init__(self, n=96, s=48, o=32, cabs=8):
        super().__init__()
        act, sizes = nn.PReLU(), (n, n + s, n + 2 * s)
        shallow = lambda: nn.Sequential(conv(3, n, 3, False), Cab(n, act))
        self.shallow1, self.shallow2, self.shallow3 = shallow(), shallow(), shallow()
        self.encoder1, self.decoder1 = Encoder(sizes, act, False), Decoder(sizes, act)
        self.encoder2, self.decoder2 = Encoder(sizes, act, True), Decoder(sizes, act)
        self.orsnet = OrsNet(sizes, n + o, cabs, act)
        self.sam12, self.sam23 = Sam(n), Sam(n)
        self.concat12, self.concat23 = conv(2 * n, n, 3, False), conv(2 * n, n + o, 3, False)
        self.tail = conv(n + o, 3, 3, False)

    def forward(self, x):
        images, features = [], []
        for half in x.chunk(2, 2):
            quarters = [self.encoder1(self.shallow1(q)) for q in half.chunk(2, 3)]
            encoded = [torch.cat(pair, 3) for pair in zip(*quarters)]
            decoded = self.decoder1(encoded)
            attended, image = self.sam12(decoded[0], half)
            joined = self.concat12(torch.cat([self.shallow2(half), attended], 1))
            images.append(image)
            features.append(self.encoder2(joined, (encoded, decoded)))
        encoded = [torch.cat(pair, 2) for pair in zip(*features)]
        decoded = self.decoder2(encoded)
        attended, stage2 = self.sam23(decoded[0], x)
        y = self.orsnet(self.concat23(torch.cat([self.shallow3(x), attended], 1)), encoded, decoded)
        return self.tail(y) + x, stage2, torch.cat(images, 2)
