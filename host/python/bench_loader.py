"""hone's loader beside PyTorch's DataLoader, in turns, on the same photographs and processors.

Both sides give batches of 16 luma patches of 128x128, degraded by the preset `mixed` (host/src/data/degrade/preset.rs): the
same blurs, noise and codecs, drawn with the same odds. PyTorch's side is Pillow and numpy as one writes them: parameters
drawn first so that windows carry no more margin than they need, light decoded by a table, one pass in linear light for blur
and noise, FFTs for large kernels, PyAV's libx264 (ultrafast, zerolatency) where hone has OpenH264. hone's figures are
those of `hone data bench --json`.

    bench_loader.py target/release/hone [--photos FOLDER] [--seconds 8] [--rounds 3]

Without --photos, `hone data synth` draws scenes, which are stored as JPEG.
"""

import argparse
import io
import json
import statistics
import subprocess
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import scipy.fft
import scipy.ndimage
import torch
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

CROP, BATCH, WORKERS = 128, 16, 2
RECIPE = Path(__file__).parents[2] / "models/recipes/ladder-nano.toml"
LINEAR = (np.arange(256, dtype=np.float32) / 255) ** np.float32(2.2)


# Degradations: what, and how many pixels around a patch it looks at --------------------------------------


def splat(points):
    reach = int(np.ceil(np.abs(points).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    corner = np.floor(points).astype(int)
    part = points - corner
    for dy in (0, 1):
        for dx in (0, 1):
            weight = np.abs(1 - dy - part[:, 0]) * np.abs(1 - dx - part[:, 1])
            np.add.at(kernel, (corner[:, 0] + dy + reach, corner[:, 1] + dx + reach), weight)
    return kernel / kernel.sum()


def disc(radius):
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def motion(rng):
    length, angle = rng.uniform(3, 11), np.radians(rng.uniform(0, 180))
    along = length * np.linspace(-0.5, 0.5, int(np.ceil(4 * length)) + 1)
    return splat(np.stack([along * np.sin(angle), along * np.cos(angle)], 1))


def shake(rng):
    length, jitter = rng.uniform(3, 11), rng.uniform(0.05, 0.5)
    noise = jitter * rng.standard_normal(64)
    turn, turns = 0.0, np.empty(64)
    for i in range(64):
        turn = 0.8 * turn + noise[i]
        turns[i] = turn
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(0.5 * turns + np.pi * (rng.random(64) < 0.03))
    steps = np.stack([np.sin(heading), np.cos(heading)], 1) * length / 64
    points = np.cumsum(steps, 0)
    return splat(points - points.mean(0))


def convolve(planes, kernel):
    """Planes [3,H,W] and a small kernel: taps where they are few, the Fourier transform else."""
    h, w = planes.shape[1:]
    side, reach = kernel.shape[0], kernel.shape[0] // 2
    padded = np.pad(planes, ((0, 0), (reach, reach), (reach, reach)), mode="reflect")
    ys, xs = np.nonzero(kernel > 1e-4)
    if len(ys) <= 24:
        out = np.zeros_like(planes)
        for y, x in zip(ys, xs):
            out += kernel[y, x] * padded[:, y : y + h, x : x + w]
        return out
    size = [scipy.fft.next_fast_len(n, real=True) for n in padded.shape[1:]]
    spectrum = scipy.fft.rfft2(padded, size) * scipy.fft.rfft2(kernel[::-1, ::-1], size)
    return scipy.fft.irfft2(spectrum, size)[:, side - 1 : side - 1 + h, side - 1 : side - 1 + w]


def jpeg(rgb, rng):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "JPEG", quality=int(rng.uniform(50, 95)))
    return np.asarray(Image.open(file).convert("RGB"))


def chroma(rgb, _):
    y, *colours = Image.fromarray(rgb).convert("YCbCr").split()
    half = ((y.width + 1) // 2, (y.height + 1) // 2)
    colours = [c.resize(half, Image.BOX).resize(y.size, Image.BILINEAR) for c in colours]
    return np.asarray(Image.merge("YCbCr", [y, *colours]).convert("RGB"))


def h264(rgb, rng):
    h, w = rgb.shape[0] & ~1, rgb.shape[1] & ~1
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = w, h, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 30), Fraction(30)
    encoder.bit_rate = max(int(rng.uniform(600, 4000) * 1000 * w * h / (1280 * 720)), 1000)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "threads": "1"}
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    dy, dx = rng.integers(-1, 2, 2)
    frames = []
    for back in range(3, -1, -1):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(rgb, (-back * dy, -back * dx), (0, 1))[:h, :w]))
        frame.pts = 3 - back
        for packet in encoder.encode(frame):
            frames += decoder.decode(packet)
    for packet in encoder.encode(None):
        frames += decoder.decode(packet)
    frames += decoder.decode(None)
    out = rgb.copy()
    out[:h, :w] = frames[-1].to_ndarray(format="rgb24")
    return out


def degraded_patch(photo, rng):
    """A random patch of a photo [H,W,3] and its camera picture, luma in 0..1."""
    kernel = sigma = factor = None
    match rng.choice(5, p=np.array([3, 2, 1, 2, 1]) / 9):
        case 0:
            kernel = disc(rng.uniform(0.6, 3))
        case 1:
            sigma = rng.uniform(0.5, 1.8)
        case 2:
            kernel = motion(rng)
        case 3:
            kernel = shake(rng)
        case 4:
            factor = rng.uniform(1.5, 2.5)
    codec, around = [(None, 0), (chroma, 2), (jpeg, 8), (h264, 16)][rng.choice(4, p=np.array([2, 1, 2, 2]) / 7)]
    margin = around + (kernel.shape[0] // 2 if kernel is not None else int(np.ceil(3 * sigma)) if sigma else int(2 * factor) + 3)
    h, w = photo.shape[:2]
    top, left = rng.integers(0, h - CROP + 1), rng.integers(0, w - CROP + 1)
    rows = np.arange(top - margin, top + CROP + margin)
    columns = np.arange(left - margin, left + CROP + margin)
    mirror = lambda i, n: np.abs((i + n - 1) % (2 * n - 2) - (n - 1))
    inside = top >= margin and left >= margin and top + CROP + margin <= h and left + CROP + margin <= w
    window = photo[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if inside else photo[mirror(rows, h)][:, mirror(columns, w)]
    if factor:
        image = Image.fromarray(np.ascontiguousarray(window))
        small = image.resize([max(round(n / factor), 1) for n in image.size], Image.BICUBIC)
        light = LINEAR[np.asarray(small.resize(image.size, Image.BICUBIC))].transpose(2, 0, 1)
    else:
        light = LINEAR[window].transpose(2, 0, 1)
        if sigma:
            for axis in (1, 2):
                light = scipy.ndimage.gaussian_filter1d(light, sigma, axis, mode="mirror", truncate=3)
        else:
            light = convolve(light, kernel)
    inner = margin - around
    light = light[:, inner : light.shape[1] - inner, inner : light.shape[2] - inner]
    if rng.random() < 0.8:
        shot, read = rng.uniform(0, 1e-3, 2)
        deviation = np.sqrt(np.float32(shot) * light.clip(0) + np.float32(read * read))
        light = light + deviation * rng.standard_normal(light.shape, np.float32)
    else:
        exposure = np.float32(rng.uniform(0.1, 0.5))
        light = light * exposure
        deviation = np.sqrt(light.clip(0) / np.float32(4000) + np.float32((3 / 4000) ** 2))
        light = light + deviation * rng.standard_normal(light.shape, np.float32)
        light = np.round(light.clip(0, 1) * 1023) / np.float32(1023) / exposure
    rgb = (light.clip(0, 1) ** np.float32(1 / 2.2) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    rgb = np.ascontiguousarray(rgb)
    if codec:
        rgb = codec(rgb, rng)
    patch = rgb[around : around + CROP, around : around + CROP]
    truth = photo[top : top + CROP, left : left + CROP]
    luma = lambda x: (x @ np.array([0.299, 0.587, 0.114], np.float32) / 255)[None]
    turns, mirrored = rng.integers(4), rng.integers(2)
    turn = lambda x: np.ascontiguousarray(np.rot90(x[:, :, ::-1] if mirrored else x, turns, (1, 2)))
    return torch.from_numpy(turn(luma(patch))), torch.from_numpy(turn(luma(truth)))


class Patches(IterableDataset):
    """Endless patches; `keep` holds decoded photographs in each worker's memory."""

    def __init__(self, paths, keep):
        self.paths, self.keep, self.photos = paths, keep, {}

    def photo(self, path):
        if path in self.photos:
            return self.photos[path]
        photo = np.asarray(Image.open(path).convert("RGB"))
        if self.keep:
            self.photos[path] = photo
        return photo

    def __iter__(self):
        torch.set_num_threads(1)
        rng = np.random.default_rng(get_worker_info().id)
        while True:
            for i in rng.permutation(len(self.paths)):
                yield degraded_patch(self.photo(self.paths[i]), rng)


def pytorch(paths, keep, seconds):
    """Patches a second once every photograph was seen, when they are kept."""
    loader = iter(DataLoader(Patches(paths, keep), BATCH, num_workers=WORKERS, prefetch_factor=2))
    warm = WORKERS * len(paths) // BATCH if keep else 2 * WORKERS
    for _ in range(warm):
        next(loader)
    start, patches = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        patches += len(next(loader)[0])
    return patches / (time.perf_counter() - start)


def hone(arguments, settings, *flags):
    command = [arguments.hone, "data", "bench", RECIPE, "--seconds", str(arguments.seconds), "--json", "--device", "cpu", *flags]
    everywhere = [f"data.root={json.dumps(str(arguments.photos))}", f"stage.0.crop={CROP}", f"stage.0.batch={BATCH}",
                  f"training.workers={WORKERS}"]
    for setting in [*everywhere, *settings]:
        command += ["--set", setting]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def draw(arguments, folder):
    scenes = Path(folder, "scenes")
    size = ["--size", "1280x960", "--degrade", "none", "--validation", "0"]
    subprocess.run([arguments.hone, "data", "synth", "--out", scenes, "--images", "64", *size], check=True, capture_output=True)
    photos = Path(folder, "photos")
    photos.mkdir()
    for path in scenes.glob("train/sharp/*.png"):
        Image.open(path).save(photos / f"scene{path.stem}.jpg", quality=94, subsampling=0)
    return photos


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("hone", type=Path)
    parser.add_argument("--photos", type=Path, help="folder of JPEG photographs")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        arguments.photos = (arguments.photos or draw(arguments, folder)).resolve()
        paths = sorted(p for p in arguments.photos.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        print(f"{len(paths)} JPEG photographs, {WORKERS} workers, batches of {BATCH} luma patches of {CROP}x{CROP}, preset mixed;")
        print(f"PyTorch {torch.__version__}, Pillow, numpy {np.__version__}; patches a second, medians of {arguments.rounds} rounds\n")
        rounds = []
        for _ in range(arguments.rounds):
            each = hone(arguments, ["data.memory_mb=0"], "--no-teacher", "--loader-only")["patches_per_second"]
            each_torch = pytorch(paths, False, arguments.seconds)
            kept = hone(arguments, [], "--no-teacher", "--loader-only")["patches_per_second"]
            kept_torch = pytorch(paths, True, arguments.seconds)
            rounds.append((each, each_torch, kept, kept_torch))
        each, each_torch, kept, kept_torch = (statistics.median(values) for values in zip(*rounds))
        print("| photographs | hone | PyTorch | ratio |\n|---|---|---|---|")
        print(f"| as each does it: hone keeps them decoded, the Dataset decodes one for every patch | {kept:.0f} | {each_torch:.0f} | {kept / each_torch:.2f} |")
        print(f"| decoded for every patch | {each:.0f} | {each_torch:.0f} | {each / each_torch:.2f} |")
        print(f"| decoded once and kept | {kept:.0f} | {kept_torch:.0f} | {kept / kept_torch:.2f} |\n", flush=True)

        cache = Path(folder, "cache")
        command = [arguments.hone, "teacher", "cache", RECIPE, "--no-teacher", "--out", cache, "--device", "cpu"]
        for setting in (f"data.root={json.dumps(str(arguments.photos))}", f"stage.0.crop={CROP}", "data.pool=1024"):
            command += ["--set", setting]
        subprocess.run(command, check=True, capture_output=True)
        live = hone(arguments, [], "--no-teacher")["training"]
        pooled = hone(arguments, ["data.pool=1024"], "--no-teacher", "--cache", cache)["training"]
        print("The ladder's `nano` student trained on the same processors:\n\n| patches | step alone ms | step fed ms | waiting for batches |\n|---|---|---|---|")
        for name, fed in (("degraded as they are wanted", live), ("from a pool on disk (`hone teacher cache`)", pooled)):
            print(f"| {name} | {fed['seconds_alone'] * 1e3:.1f} | {fed['seconds_fed'] * 1e3:.1f} | {fed['waiting']:.1%} |")


if __name__ == "__main__":
    main()
