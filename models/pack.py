#!/usr/bin/env python3
"""Measures the ladder of one camera, writes its card and packs its bundle; models/train.sh calls it.

usage: models/pack.py CAMERA --runs DIR --kodak DIR --out DIR [--key FILE] [--bin DIR]

DIR of --runs holds LEVEL/ (a run of `hone distill`), LEVEL.f32.onnx and LEVEL.int8.onnx for every level.
"""
import argparse
import json
import os
import pathlib
import tomllib

import report

ABOUT = {
    "defocus": "A soft or slightly defocused lens: Gaussian of 0.8 to 1.8 pixels, discs of 1 to 2.2 pixels, noise.",
    "motion": "A shaking camera: straight motion and tremor of 3 to 11 pixels, noise.",
    "conference": "A video call: reduced by 1.5 to 2, with or without H.264 at 150 to 600 kbit/s or JPEG.",
    "mixed": "Any of these, and often nothing to mend: the default of `honed run`.",
}
LIMITS = """It restores luma alone; colour fringes stay. It knows the cameras of its recipe: stronger blur is mended in
part, other faults (rolling shutter, heavy noise, dirt) not at all. What the blur has erased stays erased. It was
trained on photographs and saw neither drawings nor screen text. A picture that is sharp already comes out changed: by
how much is in the second table."""


def training(runs, levels):
    rows = []
    for level in levels:
        run = runs / level
        inputs = json.loads((run / "run.json").read_text())
        recipe = tomllib.loads((run / "recipe.toml").read_text())
        stage, log = recipe["stage"][0], (run / "log.jsonl").read_text().splitlines()
        last = json.loads(log[-1])
        teacher, start = inputs.get("teacher"), inputs.get("start_sha256")
        rows.append([level, f"{last['step']:,} of {stage['batch']} patches", f"{last['seconds'] / 60:.1f}",
                     teacher["weights_sha256"][:12] if teacher else "none", start[:12] if start else "random",
                     inputs["recipe_sha256"][:12]])
    return report.table(["level", "updates", "minutes", "teacher", "start", "recipe"], rows)


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unknown processor'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera", choices=ABOUT)
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--kodak", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--measured", default="out/models-report", help="folder of figures kept by models/report.py")
    parser.add_argument("--key", help="secret key to sign with")
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--release", default="0.1.0")
    parser.add_argument("--only-kept", action="store_true", help="measure nothing anew: leave unknown figures out")
    args = parser.parse_args()
    bench = report.Bench(pathlib.Path(args.bin) / "hone", args.measured, args.only_kept)
    models = {f"{args.camera} {level} {p}": args.runs / f"{level}.{p}.onnx"
              for level in report.LEVELS for p in report.PRECISIONS}
    rows, metrics = [], {}
    for key, title, degradation, camera in report.ROWS:
        if args.camera not in (camera, "mixed"):
            continue
        pairs = bench.pairs(key, degradation, args.kodak)
        if bench.untouched(pairs) is None:
            continue
        gains = {name: bench.gain(pairs, name, ["--model", file]) for name, file in models.items()}
        for name, gain in gains.items():
            if gain is None:
                continue
            metrics.setdefault("/".join(name.split()[1:]), {})[f"gain_db.{key}"] = round(gain, 3)
        rows.append([title, f"{bench.untouched(pairs)['psnr']:.2f}", *map(report.signed, gains.values())])
    look = pathlib.Path(args.measured) / "eval" / args.camera
    sizes = [] if args.only_kept else ["--speed", "1280x720", "--speed", "1920x1080"]
    cost = json.loads(report.run(
        bench.hone, "eval", "--data", pairs, "--limit", 1, "--tune", 1, "--colour", "luma", "--out", look, "--json",
        *sizes, *(f"--also={name}={file}" for name, file in models.items())))
    cost = {row["name"]: row for row in cost["rows"]}
    speeds = [[name, f"{cost[name]['macs_per_pixel']:,.0f}",
               f"{file.stat().st_size:,}", *(f"{s['ms']:.1f}" for s in cost[name]["speed"])]
              for name, file in models.items()]
    card = [
        f"# {args.camera}", "", ABOUT[args.camera], "",
        "Luma students for `honed`, four sizes, f32 and INT8. All figures by `models/pack.py` (`hone restore`, `metrics`,",
        f"`harm` and `eval`) on {machine()}.", "",
        "Gain in luma PSNR on the 24 Kodak pictures, dB; degradations drawn with seed 1:", "",
        report.table(["degradation", "input dB", *report.ladder_header()], rows), "",
        "On pictures that need nothing (sharp Kodak pictures, step edges, flat noise):", "",
        report.harm_table(bench.harm(models, args.kodak)), "",
        "Cost, and times with all cores:" if sizes else "Cost:", "",
        report.table(["model", "MAC/pixel", "bytes", *(["ms at 720p", "ms at 1080p"] if sizes else [])],
                     speeds),
        "",
        f"Training, from `models/recipes/{args.camera}.toml` with the sizes of `models/train.sh`, on photographs:", "",
        training(args.runs, report.LEVELS), "",
        "Hashes are the first 12 digits of SHA-256; `start` names the weights of an earlier run.", "",
        "## Limits", "", LIMITS, "", "## Licence", "", "MIT or Apache-2.0, as the project.", "",
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    card_file, metrics_file = args.out / f"{args.camera}.md", look / "metrics.json"
    card_file.write_text("\n".join(card), encoding="utf-8")
    metrics_file.write_text(json.dumps(metrics, indent=1, sort_keys=True))
    command = [bench.hone, "bundle", "pack", "--out", args.out / f"{args.camera}.hone", "--name", args.camera,
               "--release", args.release, "--card", card_file, "--metrics", metrics_file]
    for name, file in models.items():
        command.append(f"--model={name.split()[1]}={file}")
    if args.key:
        command += ["--key", args.key]
    print(report.run(*command).strip())


if __name__ == "__main__":
    main()
