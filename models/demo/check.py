#!/usr/bin/env python3
"""Holds out/demo/report.json to what the README promises of the demo."""
import json
import sys

report = json.load(open(sys.argv[1]))
rows = {row["name"]: row for row in report["rows"]}
psnr = {name: row["psnr_db"]["mean"] for name, row in rows.items()}
int8 = psnr["student INT8"]
promises = {
    "INT8 gains 1.5 dB over the input": int8 - psnr["input"] >= 1.5,
    "INT8 beats the tuned unsharp mask by 0.7 dB": int8 - psnr["unsharp mask"] >= 0.7,
    "INT8 is within 0.15 dB of f32": abs(int8 - psnr["student f32"]) <= 0.15,
    "honed puts out what hone predicts, to the byte": report["honed"]["max_difference"] == 0,
}
broken = [promise for promise, kept in promises.items() if not kept]
if broken:
    sys.exit("not kept: " + "; ".join(broken))
