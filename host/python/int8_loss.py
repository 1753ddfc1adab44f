#!/usr/bin/env python3
"""What INT8 costs trained students: static quantisation by every calibration, and fine-tuning, against f32.

usage: host/python/int8_loss.py --hone target/release/hone --pictures DIR [--limit N] [--no-qat] RUN...

Each RUN is a folder of `hone distill`. The pictures are degraded as the run's recipe degrades its data (seed 1), and all
files run on the board's engine. Losses are of the mean luma or RGB PSNR over the pictures; below 0 INT8 does better.
Seconds are processor time of `hone quantize --qat`, the reading of its training pictures included.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import tomllib

CALIBRATIONS = ["search", "mse", "min-max", "percentile", "entropy"]
GRAPHS = ["dsunet", "nafnet-lite"]


def run(*command):
    """Output, and seconds of processor time."""
    before = os.times()
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, spent


def measure(hone, student, pictures, qat, folder):
    recipe = tomllib.loads((student / "recipe.toml").read_text())
    graph = recipe["student"]["architecture"] in GRAPHS
    column, qat = qat, qat and not graph
    ways = [how for how in CALIBRATIONS if how != "search" or not graph]
    files = {how: folder / f"{how}.onnx" for how in [*ways, *(["qat"] if qat else [])]}
    for how in ways:
        run(hone, "quantize", student, "--out", files[how], "--no-qat", "--calibration", how)
    if qat:
        _, seconds = run(hone, "quantize", student, "--out", files["qat"], "--qat")
    # Nothing but PSNR is read, and no unsharp mask is.
    report, _ = run(hone, "eval", student, "--data", *pictures, "--no-speed", "--only", "psnr_rgb", "--tune", 1, "--json",
                    *(f"--also={how}={file}" for how, file in files.items()))
    psnr = {row["name"]: row["psnr_db"]["mean"] for row in json.loads(report)["rows"]}
    loss = {how: psnr["student f32"] - psnr[how] for how in files}
    best = min(ways, key=loss.get)
    tuned = [f"{loss['qat']:+.3f}", f"{seconds:.0f}"] if qat else ["", ""] if column else []
    return [recipe["name"], f"{psnr['input']:.2f}", f"{psnr['student f32']:.2f}",
            *(f"{loss[how]:+.3f}" if how in loss else "" for how in CALIBRATIONS), best,
            *tuned, f"{files['mse'].stat().st_size:,}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=pathlib.Path, metavar="RUN")
    parser.add_argument("--pictures", required=True, help="folder of sharp pictures, such as the Kodak suite")
    parser.add_argument("--limit", type=int, metavar="N", help="take N of the pictures")
    parser.add_argument("--hone", default="target/release/hone")
    parser.add_argument("--no-qat", action="store_true", help="leave the fine-tuning out: it is slow for wide students")
    args = parser.parse_args()
    pictures = [args.pictures, *(["--limit", args.limit] if args.limit else [])]
    head = ["student", "input dB", "f32 dB", *(f"lost by {how}" for how in CALIBRATIONS), "best",
            *([] if args.no_qat else ["lost by QAT", "QAT seconds"]), "bytes"]
    print("| " + " | ".join(head) + " |\n" + "|" + "---|" * len(head), flush=True)
    for student in args.runs:
        with tempfile.TemporaryDirectory() as folder:
            row = measure(args.hone, student, pictures, not args.no_qat, pathlib.Path(folder))
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
