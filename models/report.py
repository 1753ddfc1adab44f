#!/usr/bin/env python3
"""Measures the shipped bundles and prints the tables of models/README.md; `make models-report` calls it.

usage: models/report.py --kodak DIR [--clip FILE]... [--teacher [CAMERA=]RUN]... [--bin DIR] [--out DIR] [CAMERA...]

Every model of every bundle restores the 24 pictures of the Kodak suite after each degradation below, drawn with
seed 1, on the engine of the board. Gains are means over pictures of luma PSNR over the untouched input. The unsharp
mask is tuned on the very pictures that are evaluated, which flatters it. What is in the output folder already is
not measured again, unless a model's file, a picture's name or size, or a degradation has changed since.
"""
import argparse
import hashlib
import json
import pathlib
import subprocess
import sys

LEVELS = ["nano", "small", "medium", "large"]
PRECISIONS = ["f32", "int8"]
CAMERAS = ["defocus", "motion", "conference", "mixed"]
GRAIN = "grain:sigma=0..0.00784"  # up to 2/255, on R, G and B apart
# A key, the words for it, the degradation, and the camera that is trained for it.
ROWS = [
    ("gaussian", "Gaussian 0.8-1.8 px, noise up to 2/255", f"gaussian:sigma=0.8..1.8+{GRAIN}", "defocus"),
    ("motion", "linear motion 3-11 px, noise up to 2/255", f"motion:length=3..11+{GRAIN}", "motion"),
    ("bicubic", "bicubic x2 down and up", "resize:factor=2", "conference"),
    ("motion-display", "the same motion in display codes", f"motion:length=3..11,light=display+{GRAIN}", "motion"),
    ("call", "x1.5-2, H.264 at 150-600 kbit/s", "resize:factor=1.5..2+h264:kbps=150..600", "conference"),
]
CLIP_CAMERA = "gaussian:sigma=1.2+grain:sigma=0.004"
CLIP_FRAMES = 60
STRENGTHS = [0.5, 0.75, 1]
CLIP_MODELS = ["defocus nano int8", "defocus large int8", "mixed large int8"]


def run(*command):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def signed(value):
    return "" if value is None else f"{value:+.2f}"


def sha256(model):
    """Of a model's file, or of the weights of a run."""
    path = pathlib.Path(model)
    with open(path / "best.safetensors" if path.is_dir() else path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mark(*things):
    """Twelve digits that are others when any of the things is."""
    return hashlib.sha256("\n".join(map(str, things)).encode()).hexdigest()[:12]


def listing(folder):
    """Names and sizes of a folder's files."""
    root = pathlib.Path(folder)
    return [f"{file.relative_to(root)} {file.stat().st_size}" for file in sorted(root.rglob("*")) if file.is_file()]


class Bench:
    """Figures of pictures, models and degradations, each measured once and kept in a folder."""

    def __init__(self, hone, out, only_kept=False):
        self.hone, self.out, self.only_kept = hone, pathlib.Path(out), only_kept

    def kept(self, name, measure, models=()):
        """What `measure` finds, under this name and the content of the models that it is about."""
        content = [sha256(model) for model in models]
        file = self.out / f"{name}{'-' + mark(*content) if content else ''}.json"
        if not file.exists():
            if self.only_kept:
                return None
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(measure()))
        return json.loads(file.read_text())

    def pairs(self, name, degradation, pictures):
        folder = self.out / "pairs" / f"{name}-{mark(degradation, *listing(pictures))}"
        if not folder.exists():
            run(self.hone, "data", "pairs", pictures, "--out", folder, "--degrade", degradation, "--seed", 1,
                "--colour", "luma")
        return folder

    def count(self, pairs):
        return len(listing(pairs / "sharp"))

    def score(self, truth, shown):
        found = json.loads(run(self.hone, "metrics", "--only", "psnr_rgb", truth, shown, "--json"))
        # Grey files: all three planes are the luma.
        return {"psnr": found["summary"]["psnr_rgb"]["mean"], "temporal": found["temporal"]}

    def untouched(self, pairs):
        return self.kept(f"scores/{pairs.name}/untouched", lambda: self.score(pairs / "sharp", pairs / "blur"))

    def unsharp(self, pairs):
        def measure():
            report = json.loads(run(self.hone, "eval", "--data", pairs, "--tune", 24, "--colour", "luma", "--no-speed",
                                    "--json"))
            return next(row["gain_db"] for row in report["rows"] if row["name"] == "unsharp mask")

        return self.kept(f"scores/{pairs.name}/unsharp", measure)

    def gain(self, pairs, name, how):
        """Gain of a restorer, `how` being its arguments to `hone restore`: the model is the second."""

        def measure():
            shown = self.out / "restored" / f"{pairs.name} {name}"
            for old in shown.glob("*"):
                old.unlink()
            run(self.hone, "restore", pairs / "blur", *how, "--output", shown)
            return self.score(pairs / "sharp", shown)

        found = self.kept(f"scores/{pairs.name}/{name.replace(' ', '-')}", measure, [how[1]])
        return found and found["psnr"] - self.untouched(pairs)["psnr"]

    def harm(self, models, sharp):
        def measure():
            return json.loads(run(self.hone, "harm", *models.values(), "--sharp", sharp, "--json"))

        name = "-".join(sorted({m.split()[0] for m in models}))
        found = self.kept(f"scores/harm/{name}-{mark(*listing(sharp))}", measure, models.values())
        return dict(zip(models, found or []))


def harm_table(found):
    rows = [[name, f"{h['sharp_psnr_db']:.1f}", f"{h['worst_psnr_db']:.1f}", f"{h['overshoot_percent']:.1f}",
             f"{h['noise_gain']:.2f}"] for name, h in found.items()]
    return table(["model", "sharp input, dB", "worst picture, dB", "overshoot, %", "noise, times"], rows)


def ladder_header():
    return [f"{level} {'INT8' if p == 'int8' else p}" for level in LEVELS for p in PRECISIONS]


def unpack(hone, out, cameras):
    models, folder = {}, pathlib.Path(__file__).resolve().parent
    for camera in cameras:
        parts = out / "models" / camera
        run(hone, "bundle", "unpack", folder / f"{camera}.hone", "--out", parts)
        for level in LEVELS:
            for precision in PRECISIONS:
                models[f"{camera} {level} {precision}"] = parts / f"{level}.{precision}.onnx"
    return models


def degradations(bench, models, kodak, teachers):
    rows = []
    for key, title, degradation, camera in ROWS:
        pairs = bench.pairs(key, degradation, kodak)
        for bundle in (camera, "mixed"):
            mine = {name: file for name, file in models.items() if name.split()[0] == bundle}
            if not mine:
                continue
            gains = [bench.gain(pairs, name, ["--model", file]) for name, file in mine.items()]
            run_of = teachers.get(bundle, teachers.get(""))
            taught = bench.gain(pairs, f"{bundle} teacher", ["--teacher-run", run_of]) if run_of else None
            # How much of what the teacher gains the largest student gains, as the board computes it.
            kept = f"{100 * gains[-1] / taught:.0f} %" if taught and gains[-1] is not None else ""
            rows.append([title, bundle, f"{bench.untouched(pairs)['psnr']:.2f}", signed(bench.unsharp(pairs)),
                         *map(signed, gains), signed(taught), kept])
    header = ["degradation", "bundle", "input dB", "unsharp", *ladder_header(), "teacher", "large INT8 keeps"]
    return table(header, rows)


def clips(bench, models, files, degradation=CLIP_CAMERA, camera=None):
    """A row for every clip and model: gain of a frame, and flicker beside that of the untouched clip."""
    rows = []
    for clip in files:
        name = pathlib.Path(clip).stem
        frames = bench.out / "frames" / mark(pathlib.Path(clip).name, pathlib.Path(clip).stat().st_size) / name
        if not frames.exists():
            run(bench.hone, "data", "frames", clip, "--out", frames.parent)
        pairs = bench.pairs(f"{name}-{camera}" if camera else name, degradation, frames)
        look = bench.out / "eval" / pairs.name

        def measure():
            also = [f"--also={model}={file}" for model, file in models.items()]
            return json.loads(run(bench.hone, "eval", "--data", pairs, "--tune", 4, "--limit", CLIP_FRAMES, "--colour",
                                  "luma", "--no-speed", "--video", 25, *also, "--out", look, "--json"))

        found = bench.kept(f"scores/{pairs.name}/clip", measure, models.values())
        for row in found["rows"] if found else []:
            if row["name"] in ("input", "unsharp mask", *models):
                flicker = (row.get("temporal") or {}).get("flicker")
                rows.append([name, row["name"], f"{row['psnr_db']['mean']:.2f}", signed(row["gain_db"]),
                             "" if flicker is None else f"{flicker:.2f}"])
    return table(["clip", "model", "PSNR, dB", "gain", "flicker, levels"], rows)


def strengths(bench, name, model, kodak):
    """Why 1 is the default of `honed run --strength`: what a model gains and what it harms at others."""
    rows = []
    for strength in STRENGTHS:
        gains = []
        for key, _, degradation, _ in ROWS[:3]:
            pairs = bench.pairs(key, degradation, kodak)
            label = name if strength == 1 else f"{name} {strength}"
            gains.append(signed(bench.gain(pairs, label, ["--model", model, "--strength", strength])))
        harm = bench.kept(f"scores/harm/{name.replace(' ', '-')}-{strength}-{mark(*listing(kodak))}", lambda: json.loads(
            run(bench.hone, "harm", model, "--sharp", kodak, "--strength", strength, "--json")), [model])[0]
        rows.append([f"{strength}", *gains, f"{harm['sharp_psnr_db']:.1f}", f"{harm['overshoot_percent']:.1f}"])
    return table(["strength", *(title for _, title, _, _ in ROWS[:3]), "sharp input, dB", "overshoot, %"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cameras", nargs="*", default=CAMERAS)
    parser.add_argument("--kodak", required=True, help="folder of the Kodak pictures")
    parser.add_argument("--clip", action="append", default=[], help="video; may be repeated")
    parser.add_argument("--teacher", action="append", default=[], metavar="[CAMERA=]RUN",
                        help="run of `hone teacher train`, of one camera or of all others; may be repeated")
    parser.add_argument("--bin", default="target/release")
    parser.add_argument("--out", default="out/models-report")
    args = parser.parse_args()
    bench = Bench(pathlib.Path(args.bin) / "hone", args.out)
    models = unpack(bench.hone, bench.out, args.cameras)
    print("Gain in luma PSNR on the Kodak pictures, dB:\n")
    # The key of a teacher without a camera is empty.
    teachers = {camera: run for camera, _, run in (given.rpartition("=") for given in args.teacher)}
    print(degradations(bench, models, args.kodak, teachers))
    print("\nOn pictures that need nothing:\n")
    print(harm_table(bench.harm(models, args.kodak)))
    if "mixed medium int8" in models:
        print("\n`mixed` `medium` in INT8 at other strengths, gains in dB:\n")
        print(strengths(bench, "mixed medium int8", models["mixed medium int8"], args.kodak))
    if args.clip:
        print(f"\nOn clips through `{CLIP_CAMERA}`, frame by frame:\n")
        shown = {name: models[name] for name in CLIP_MODELS if name in models}
        print(clips(bench, shown, args.clip))


if __name__ == "__main__":
    main()
