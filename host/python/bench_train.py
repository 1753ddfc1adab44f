"""Training speed of `hone distill` beside PyTorch eager, interleaved in one run.

Same students, loss (L1 + 1 - SSIM), batch, crop, Adam and threads; PyTorch's side is written the usual way: nn.Conv2d,
branches computed one by one (as the edge-oriented block's paper has them), torch.optim.Adam. Random patches; nothing is
read from disk on either side. hone's figures are those of `hone distill --dry-run --json`.

    bench_train.py target/release/hone [--rounds 5] [--json]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F
from torch import nn

RECIPE = """name = "bench"
colour = "luma"
data = {{ layout = "scenes", count = 1 }}
student = {{ architecture = "plain", scale = 2, channels = {channels}, convs = {convs}, branches = {branches} }}
loss = [{{ kind = "l1", weight = 1.0 }}, {{ kind = "ssim", weight = 0.2 }}]
optimizer = {{ learning_rate = 1e-4 }}
stage = [{{ epochs = 1, steps = 1, batch = {batch}, crop = {crop} }}]
"""

STUDENTS = [
    ("small", 8, 6, False, 16, 64),
    ("small, branches", 8, 6, True, 16, 64),
    ("medium", 16, 5, False, 16, 128),
    ("medium, branches", 16, 5, True, 16, 128),
]


class Branched(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.plain = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.widen = nn.Conv2d(inputs, 2 * inputs, 1, bias=False)
        self.narrow = nn.Conv2d(2 * inputs, outputs, 3, padding=1, bias=False)
        self.mix = nn.ModuleList(nn.Conv2d(inputs, outputs, 1, bias=False) for _ in range(3))
        self.strength = nn.ParameterList(nn.Parameter(1e-2 * torch.randn(outputs, 1, 1, 1)) for _ in range(3))
        edges = torch.tensor(
            [
                [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
                [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
                [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
            ],
            dtype=torch.float32,
        )
        self.register_buffer("edges", edges.reshape(3, 1, 1, 3, 3))
        self.identity = inputs == outputs

    def forward(self, x):
        y = self.plain(x) + self.narrow(self.widen(x))
        for i in range(3):
            mixed = self.mix[i](x)
            y = y + F.conv2d(mixed, self.edges[i] * self.strength[i], padding=1, groups=mixed.shape[1])
        return y + x if self.identity else y


class Plain(nn.Module):
    def __init__(self, channels, convs, branches):
        super().__init__()
        widths = [4] + [channels] * (convs - 1) + [4]
        conv = Branched if branches else lambda i, o: nn.Conv2d(i, o, 3, padding=1)
        self.convs = nn.ModuleList(conv(i, o) for i, o in zip(widths, widths[1:]))

    def forward(self, frame):
        x = F.pixel_unshuffle(frame, 2)
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if i + 1 < len(self.convs):
                x = F.relu(x)
        return frame + F.pixel_shuffle(x, 2)


def ssim(a, b):
    taps = torch.exp(-((torch.arange(11.0) - 5) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()

    def blur(x):
        x = F.conv2d(x, taps.reshape(1, 1, 1, 11))
        return F.conv2d(x, taps.reshape(1, 1, 11, 1))

    mu_a, mu_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mu_a**2, blur(b * b) - mu_b**2
    cov = blur(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    return (((2 * mu_a * mu_b + c1) / (mu_a**2 + mu_b**2 + c1)) * ((2 * cov + c2) / (var_a + var_b + c2))).mean()


def eager(student, batch, crop):
    """Median seconds of a step."""
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-4)
    times = []
    begin = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - begin < 1.0 and len(times) < 50):
        x = torch.rand(batch, 1, crop, crop)
        start = time.perf_counter()
        optimizer.zero_grad()
        y = student(x)
        loss = F.l1_loss(y, x) + 0.2 * (1 - ssim(y, x))
        loss.backward()
        optimizer.step()
        loss.item()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def hone(binary, recipe):
    run = subprocess.run(
        [binary, "distill", recipe, "--dry-run", "--json", "--device", "cpu"], capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)["stages"][0]["seconds_per_step"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    for name, channels, convs, branches, batch, crop in STUDENTS:
        student = Plain(channels, convs, branches)
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            switch = str(branches).lower()
            file.write(RECIPE.format(channels=channels, convs=convs, branches=switch, batch=batch, crop=crop))
            file.flush()
            pairs = [(hone(arguments.hone, file.name), eager(student, batch, crop)) for _ in range(arguments.rounds)]
        ours = statistics.median(batch / h for h, _ in pairs)
        theirs = statistics.median(batch / t for _, t in pairs)
        ratio = statistics.median(t / h for h, t in pairs)
        rows.append({"student": name, "batch": batch, "crop": crop, "hone": ours, "pytorch": theirs, "ratio": ratio})
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads, f32, images/s, medians of {arguments.rounds} rounds")
    print("| student | batch | crop | hone | PyTorch eager | ratio |\n|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['student']} | {r['batch']} | {r['crop']} | {r['hone']:.0f} | {r['pytorch']:.0f} | {r['ratio']:.2f} |")


if __name__ == "__main__":
    main()
