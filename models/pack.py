#!/usr/bin/env python3
"""Measures the ladder of one camera, writes its card and packs its bundle; models/train.sh calls it.

usage: models/pack.py CAMERA --runs DIR --kodak DIR --out DIR [--clip FILE]... [--key FILE] [--bin DIR]

DIR of --runs holds LEVEL/ (a run of `hone distill`), LEVEL.f32.onnx and LEVEL.int8.onnx for every level, and cache/,
the patches that they were trained on (cache-*/ where levels had others). Beside the bundle and its card lies the card's picture, of a drawn scene.
"""
import argparse
import json
import pathlib
import sys

import cv2

import card
import report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("camera", choices=card.ABOUT)
    parser.add_argument("--runs", type=pathlib.Path, required=True)
    parser.add_argument("--kodak", required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--clip", action="append", default=[], help="video; may be repeated")
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
    if not metrics:
        sys.exit(f"{args.measured} holds no figures of these very models: leave --only-kept away to measure them")
    look = pathlib.Path(args.measured) / "eval" / args.camera
    sizes = ["--no-speed"] if args.only_kept else ["--speed", "1280x720", "--speed", "1920x1080"]
    cost = json.loads(report.run(
        bench.hone, "eval", "--data", pairs, "--limit", 1, "--tune", 1, "--colour", "luma", "--out", look, "--json",
        *sizes, *(f"--also={name}={file}" for name, file in models.items())))
    cost = {row["name"]: row for row in cost["rows"]}
    speeds = [[name, f"{cost[name]['macs_per_pixel']:,.0f}",
               f"{file.stat().st_size:,}", *(f"{s['ms']:.1f}" for s in cost[name]["speed"])]
              for name, file in models.items()]
    large = next(file for name, file in models.items() if name.endswith("large int8"))
    shown, scene_gain = card.picture(bench, args.camera, large)
    degradation = next(row[2] for row in report.ROWS if args.camera in (row[3], "mixed"))
    filmed = {name: file for name, file in models.items() if name.endswith("int8")}
    lines = [
        f"# {args.camera}", "", card.ABOUT[args.camera], "",
        f"![before, after and truth of a drawn scene](pictures/{args.camera}.png)", "",
        f"A drawn scene that no training saw, `large` in INT8: {scene_gain:+.2f} dB.", "",
        "Luma students for `honed`, four sizes, f32 and INT8. All figures by `models/pack.py` (`hone restore`, `metrics`,",
        f"`harm` and `eval`) on {card.machine()}.", "",
        f"Gain in luma PSNR on the {bench.count(pairs)} Kodak pictures, dB; degradations drawn with seed 1:", "",
        report.table(["degradation", "input dB", *report.ladder_header()], rows), "",
        "On pictures that need nothing (sharp Kodak pictures, step edges, flat noise); at straight edges the limit on overshoot",
        "(`student.limited`) holds whatever the weights are:", "",
        report.harm_table(bench.harm(models, args.kodak)), "",
        *([f"On the first {report.CLIP_FRAMES} frames of clips through `{degradation}`, drawn anew for each frame, the "
           "unsharp mask tuned on the", "very clip; flicker is the mean error of frame differences:", "",
           report.clips(bench, filmed, args.clip, degradation, args.camera), ""] if args.clip else []),
        "Cost:" if args.only_kept else "Cost, and times with all cores:", "",
        report.table(["model", "MAC/pixel", "bytes", *([] if args.only_kept else ["ms at 720p", "ms at 1080p"])], speeds), "",
        f"Training, from `models/recipes/{args.camera}.toml` with the sizes of `models/train.sh`, on", card.data(args.runs, report.LEVELS),
        "", card.training(args.runs, report.LEVELS), "",
        "Hashes are the first 12 digits of SHA-256; `start` names the weights of an earlier run: a first training of the",
        "same size, the bundle's before, or `nano` for `small` and `medium` for `large`, with layers put between that pass their input on.", "",
        "## Limits", "", card.LIMITS, "", "## Licence", "", "MIT or Apache-2.0, as the project.", "",
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    card_file, metrics_file = args.out / f"{args.camera}.md", look / "metrics.json"
    card_file.write_text("\n".join(lines), encoding="utf-8")
    (args.out / "pictures").mkdir(exist_ok=True)
    grey = cv2.imread(str(shown), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(args.out / "pictures" / f"{args.camera}.png"), grey, [cv2.IMWRITE_PNG_COMPRESSION, 9])
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
