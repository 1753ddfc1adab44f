"""Times `hone metrics` against scikit-image and pytorch_msssim on 1080p pairs.

Both sides compute the same figures (PSNR and SSIM in RGB and Y, the uniform and the Gaussian
window, MS-SSIM, Lab, Sobel) from PNG files on the same cores; the figures must agree. Needs
numpy, scipy, Pillow, scikit-image, torch and pytorch_msssim.

    python host/python/bench_metrics.py target/release/hone
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from pytorch_msssim import ms_ssim, ssim as torch_ssim
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

RUNS = 3
PAIRS = 4
METRICS = [
    "psnr_rgb", "psnr_y", "ssim_gaussian_rgb", "ssim_gaussian_y", "ssim_uniform7_rgb",
    "ssim_valid_window11_rgb", "ms_ssim_rgb", "lab_l1", "sobel_magnitude_l1_gray",
]


def luma(rgb):
    return rgb @ np.array([65.481, 128.553, 24.966]) / 255 + 16


def sobel(rgb):
    grey = rgb @ np.array([0.299, 0.587, 0.114]) / 255
    return np.hypot(ndimage.sobel(grey, 0, mode="nearest"), ndimage.sobel(grey, 1, mode="nearest"))


def measure(reference, distorted):
    """What `hone metrics` prints, from the usual Python packages."""
    a8, b8 = (np.array(Image.open(path)) for path in (reference, distorted))
    a, b = a8.astype(np.float64), b8.astype(np.float64)
    gaussian = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)
    ta, tb = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (a8, b8))
    return {
        "psnr_rgb": peak_signal_noise_ratio(a, b, data_range=255),
        "psnr_y": peak_signal_noise_ratio(luma(a), luma(b), data_range=255),
        "ssim_gaussian_rgb": structural_similarity(a, b, channel_axis=2, **gaussian),
        "ssim_gaussian_y": structural_similarity(luma(a), luma(b), **gaussian),
        "ssim_uniform7_rgb": structural_similarity(a, b, channel_axis=2, data_range=255),
        "ssim_valid_window11_rgb": torch_ssim(ta, tb, data_range=255).item(),
        "ms_ssim_rgb": ms_ssim(ta, tb, data_range=255).item(),
        "lab_l1": np.abs(rgb2lab(a8) - rgb2lab(b8)).mean(),
        "sobel_magnitude_l1_gray": np.abs(sobel(a) - sobel(b)).mean(),
    }


def timed(run):
    """Result, seconds on the clock, seconds of processor time (own and of children)."""
    spent = lambda: sum(os.times()[:4])
    clock, processor = time.perf_counter(), spent()
    result = run()
    return result, time.perf_counter() - clock, spent() - processor


def pair(rng, folder, name):
    """A drawn scene and the same with noise, as PNG files in `folder`/{reference,distorted}."""
    smooth = ndimage.gaussian_filter(rng.uniform(0, 255, (1080, 1920, 3)), (4, 4, 0))
    scene = np.clip((smooth - 127) * 8 + 127, 0, 255)
    noisy = np.clip(scene + rng.normal(0, 6, scene.shape), 0, 255)
    paths = [folder / side / f"{name}.png" for side in ("reference", "distorted")]
    for path, pixels in zip(paths, (scene, noisy)):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.round().astype(np.uint8)).save(path)
    return paths


def main():
    hone = sys.argv[1]
    only = [word for name in METRICS for word in ("--only", name)]
    ask = lambda a, b: json.loads(subprocess.check_output([hone, "metrics", a, b, "--json", *only]))
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        pairs = [pair(rng, Path(folder), index) for index in range(PAIRS)]
        folders = [path.parent for path in pairs[0]]
        rows = {
            "one pair": (lambda: ask(*pairs[0]), lambda: measure(*pairs[0])),
            f"folder of {PAIRS} pairs": (lambda: ask(*folders), lambda: [measure(*p) for p in pairs]),
        }
        # Taken in turns, so that a busy machine slows both.
        runs = {row: ([], []) for row in rows}
        for _ in range(RUNS):
            for row, sides in rows.items():
                for side, run in enumerate(sides):
                    runs[row][side].append(timed(run))
    ours, theirs = (runs["one pair"][side][0][0] for side in (0, 1))
    for name in METRICS:
        tolerance = 1e-3 if name.startswith("psnr") else 1e-4
        if abs(ours[name] - theirs[name]) > tolerance:
            sys.exit(f"{name} differs: hone {ours[name]}, Python {theirs[name]}")
    print("metrics of 1080p pairs, least of", RUNS, "runs; reading PNG on both sides, starting the program and its",
          "libraries on hone's alone:")
    print(f"{'':20} {'':10} {'hone s':>8} {'Python s':>8} {'times as fast':>14}")
    for row, sides in runs.items():
        for label, i in (("clock", 1), ("processor", 2)):
            a, b = (min(run[i] for run in side) for side in sides)
            print(f"{row:20} {label:10} {a:8.2f} {b:8.2f} {b / a:14.1f}")


if __name__ == "__main__":
    main()
