"""Times every teacher in `hone` beside PyTorch eager on this machine, same device, precision, threads and picture.

The PyTorch modules (`eager/`) compute as the publications' code does. Weights are random; the parameter counts are
compared, so both sides run the same network. SwinIR's mask is kept between runs, as its authors do. PyTorch runs
with its usual memory layout and channels-last, and the faster of the two counts.

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

from eager.mprnet import MprNet
from eager.nafnet import NafNet
from eager.restormer import Restormer
from eager.swinir import SwinIr
from eager.unet import UNet


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
    for layout in (torch.contiguous_format, torch.channels_last):
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
