#!/usr/bin/env python3
"""Measures the RGB students of models/recipes/rgb.toml, writes models/rgb.md and packs rgb.hone; models/train.sh calls it.

usage: models/rgb.py --runs DIR --kodak DIR --out DIR [--measured DIR] [--key FILE] [--bin DIR]

DIR of --runs holds STUDENT/ (a run of `hone distill`), STUDENT.f32.onnx and STUDENT.int8.onnx. Gains are means of RGB
PSNR over the pictures of the Kodak suite; the unsharp mask is tuned on the very pictures. What is in the folder of
--measured already is not measured again, unless a model's file, a picture's name or size, or a degradation has changed since.
"""
import argparse
import json
import pathlib

import card
import report

# Larger files are measured but not packed: repositories keep bundles for ever.
LARGEST_BYTES = 8_000_000
# An architecture of each of the five reports, by cost.
STUDENTS = ["cnn4", "dsunet", "studentcnn", "studentnet", "nafnet-lite"]
ABOUT = """Any camera, in colour: soft lenses, straight motion of 3 to 11 pixels, pictures that were reduced by 1.5 to 2, noise;
one student of each architecture of the five reports that `hone` grew out of. They cost 3 to 43 times what the largest luma
student does, for boards with room or pictures that may take longer. `dsunet` and `nafnet-lite` run through tract, which makes them
slower in INT8 than in f32, so that `honed run` takes `dsunet` in f32, unless `--precision int8` says otherwise."""
LIMITS = """Channel weights of `nafnet-lite` are pooled over the whole frame, which other sizes of frame change. Other faults
than the above (rolling shutter, heavy noise, dirt) they do not know."""


def measure(bench, models, kodak, degradation, *more):
    """What `hone eval` finds, its rows by restorer."""
    also = [f"--also={label}={file}" for label, file in models.items()]
    found = json.loads(report.run(bench.hone, "eval", "--data", kodak, "--degrade", degradation, "--colour", "rgb",
                                  "--only", "psnr_rgb", "--json", "--no-speed", *more, *also))
    return found | {"rows": {row["name"]: row for row in found["rows"]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--kodak", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--measured", default="out/models-report", help="folder of figures kept by models/report.py")
    parser.add_argument("--key", help="secret key to sign with")
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--release", default="0.1.0")
    args = parser.parse_args()
    bench = report.Bench(pathlib.Path(args.bin) / "hone", args.measured)
    models = {f"{student} {p}": args.runs / f"{student}.{p}.onnx" for student in STUDENTS for p in report.PRECISIONS}
    models = {name: file for name, file in models.items() if file.exists()}
    rows, metrics = [], {}
    for key, title, degradation, _ in report.ROWS[:2]:
        whole = ["--limit", 24, "--tune", 24]
        kept = f"scores/rgb/{key}-{report.mark(degradation, *report.listing(args.kodak))}"
        found = bench.kept(kept, lambda: measure(bench, models, args.kodak, degradation, *whole), models.values())
        count, found = len(found["pairs"]), found["rows"]
        gains = [report.signed(found[name]["gain_db"]) for name in models]
        rows.append([title, f"{found['input']['psnr_db']['mean']:.2f}", report.signed(found["unsharp mask"]["gain_db"]), *gains])
        for name in models:
            metrics.setdefault("/".join(name.split()), {})[f"gain_db.{key}"] = round(found[name]["gain_db"], 3)
    found = measure(bench, models, args.kodak, "none", "--limit", 3, "--tune", 1)
    cost, timed = found["rows"], " to ".join(dict.fromkeys(f"{w}x{h}" for w, h in found["size_range"]))
    sizes = [[name, f"{cost[name]['macs_per_pixel']:,.0f}", f"{file.stat().st_size:,}", f"{cost[name]['ms_per_frame']:.0f}"]
             for name, file in models.items()]
    fitting = {name: file for name, file in models.items() if file.stat().st_size <= LARGEST_BYTES}
    left_out = ", ".join(f"`{name}`" for name in models if name not in fitting)
    present = [student for student in STUDENTS if f"{student} f32" in models or f"{student} int8" in models]
    inputs = [json.loads((args.runs / student / "run.json").read_text()).get("teacher") for student in present]
    taught = {f"{i['architecture']} {i['weights_sha256'][:12]}" if i else None for i in inputs}
    # One teacher for all of them, told by its weights: whose it is, the run cannot know.
    teacher = f" under the teacher {taught.pop()}" if len(taught) == 1 and None not in taught else ""
    lines = [
        "# rgb", "", ABOUT, "",
        f"All figures by `models/rgb.py` (`hone eval`) on {card.machine()}.", "",
        f"Gain in RGB PSNR on the {count} Kodak pictures, dB; degradations drawn with seed 1:", "",
        report.table(["degradation", "input dB", "unsharp", *models], rows), "",
        f"Cost, and the median time of {len(found['pairs'])} pictures with all cores:", "",
        report.table(["model", "MAC/pixel", "bytes", f"ms at {timed}"], sizes), "",
        *([f"Not in the bundle, for their size: {left_out}.", ""] if left_out else []),
        f"Training, from `models/recipes/rgb.toml`{teacher}:", "",
        card.training(args.runs, present), "",
        "Hashes are the first 12 digits of SHA-256.", "",
        "## Limits", "", LIMITS, "", "## Licence", "", "MIT or Apache-2.0, as the project.", "",
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    card_file, metrics_file = args.out / "rgb.md", args.runs / "metrics.json"
    card_file.write_text("\n".join(lines), encoding="utf-8")
    metrics = {name: metrics[name] for name in map("/".join, map(str.split, fitting))}
    metrics_file.write_text(json.dumps(metrics, indent=1, sort_keys=True))
    command = [bench.hone, "bundle", "pack", "--out", args.out / "rgb.hone", "--name", "rgb", "--release", args.release,
               "--card", card_file, "--metrics", metrics_file]
    command += [f"--model={name.split()[0]}={file}" for name, file in fitting.items()]
    if args.key:
        command += ["--key", args.key]
    print(report.run(*command).strip())


if __name__ == "__main__":
    main()
