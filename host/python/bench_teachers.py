"""Times every teacher in `hone` beside PyTorch eager on this machine, same device, precision, threads and picture.

The PyTorch modules compute as the publications' code does. Weights are random; the parameter counts are
compared, so both sides run the same network. SwinIR's mask is kept between runs, as its authors do. On a GPU
PyTorch runs with its usual memory layout and channels-last, and the faster of the two counts.

    .cache/bench-venv/bin/python host/python/bench_teachers.py --hone target/release/hone
    python3 host/python/bench_teachers.py --hone target/release/hone --device cuda --precision bf16
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F


def conv(i, o, k, bias=True, groups=1):
    return nn.Conv2d(i, o, k, padding=k // 2, bias=bias, groups=groups)


# Restormer ------------------------------------------------------------------------------------------------


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


# NAFNet ---------------------------------------------------------------------------------------------------


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


# SwinIR ---------------------------------------------------------------------------------------------------


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


# MPRNet ---------------------------------------------------------------------------------------------------


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


# ----------------------------------------------------------------------------------------------------------


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


# ----------------------------------------------------------------------------------------------------------


def side(module, options):
    """Sides that take the heavy ones seconds on a processor and the light ones more than moments."""
    if options.size:
        return options.size
    if options.device == "cuda":
        return 512
    return 256 if module in (NafNet, UNet) else 128


def time_torch(model, x):
    start = time.perf_counter()
    with torch.no_grad():
        model(x)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def layouts(module, x, options):
    """PyTorch's model and picture, in each memory layout that is measured."""
    kind = torch.bfloat16 if options.precision == "bf16" else torch.float32
    formats = [torch.contiguous_format]
    if options.device == "cuda":
        formats.append(torch.channels_last)
    for layout in formats:
        model = module().eval().to(options.device, kind).to(memory_format=layout)
        yield model, x.to(options.device, kind).to(memory_format=layout)


def compare(module, options, parameters):
    """The fastest run of either side in seconds; the sides take turns, so that both meet the same load."""
    size = side(module, options)
    models = list(layouts(module, torch.rand(1, 3, size, size), options))
    name = module.config["architecture"]
    # Parameter counts are the publications': the two sides run the same network.
    count = sum(p.numel() for p in models[0][0].parameters())
    assert count == parameters[name], f"{name}: PyTorch has {count}, hone {parameters[name]}"
    theirs, ours = [], []
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.json")
        config.write_text(json.dumps(module.config))
        command = [options.hone, "teacher", "bench", "--config", config, "--json", "--device", options.device,
                   "--precision", options.precision, "--size", f"{size}x{size}", "--repeat", str(options.repeat),
                   "--threads", str(options.threads)]
        for model, x in models:
            time_torch(model, x)
        for _ in range(options.rounds):
            ours.append(json.loads(subprocess.check_output(command))["seconds"])
            theirs += [time_torch(model, x) for model, x in models for _ in range(options.repeat)]
    return min(theirs), min(ours)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--hone", type=Path, default=Path("target/release/hone"))
    arguments.add_argument("--size", type=int, help="side of the picture (else 512 on a GPU; 256 for NAFNet and U-Net, 128 for the others)")
    arguments.add_argument("--rounds", type=int, default=3, help="turns of each side; the fastest counts")
    arguments.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments.add_argument("--repeat", type=int, default=1, help="runs in a turn, after a first one")
    arguments.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    arguments.add_argument("--precision", choices=["f32", "bf16"], default="f32")
    arguments.add_argument("--only", nargs="*", help="architectures")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    catalogue = json.loads(subprocess.check_output([options.hone, "teacher", "list", "--json"]))
    parameters = {}
    for entry in catalogue:
        parameters.setdefault(entry["config"]["architecture"], entry["parameters"])
    rows = []
    for module in (Restormer, NafNet, SwinIr, MprNet, UNet):
        name = module.config["architecture"]
        if options.only and name not in options.only:
            continue
        pixels = side(module, options) ** 2
        theirs, ours = (seconds * 1e6 / pixels for seconds in compare(module, options, parameters))
        rows.append((name, pixels, theirs, ours))
        print(f"{name}: PyTorch {theirs:.3f}, hone {ours:.3f} s a megapixel", file=sys.stderr, flush=True)
    where = torch.cuda.get_device_name() if options.device == "cuda" else f"{options.threads} threads"
    print(f"PyTorch {torch.__version__} eager, {where}, {options.precision}, seconds a megapixel, fastest of {options.rounds} turns\n")
    print("| teacher | side | PyTorch | hone | PyTorch / hone |\n|---|---|---|---|---|")
    for name, pixels, theirs, ours in rows:
        print(f"| {name} | {math.isqrt(pixels)} | {theirs:.3f} | {ours:.3f} | {theirs / ours:.2f} |")


if __name__ == "__main__":
    main()
