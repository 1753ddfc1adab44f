#!/usr/bin/env python3
"""What a teacher is worth: students with and without one, equal in all else; `make ablation` calls it.

usage: models/ablation.py --photos DIR --kodak DIR [--teacher RUN] [--epochs N] [--bin DIR] [--out DIR]

Trains the teacher of models/recipes/defocus-teacher.toml, for which a GPU is needed, or takes a trained one, keeps
its answers, and trains the `small` student of models/recipes/defocus.toml for each of three seeds with the recipe's
weight for the teacher and with weight 0: the same patches, updates and start. All are measured on the Kodak pictures
under Gaussian blur of 0.8 to 1.8 pixels and noise, as models/report.py does. What is in the output folder already is
not done again; a stopped training goes on.
"""
import argparse
import pathlib
import statistics
import subprocess
import sys

from report import ROWS, Bench, run as call, signed, table

RECIPES = pathlib.Path(__file__).resolve().parent / "recipes"
SEEDS = [1, 2, 3]
CHANNELS = [8] * 5


def train(command, folder, start=None):
    """Runs a training to its end, from where it stopped; a new one from the weights `start`."""
    if (folder / "finished").exists():
        return
    how = ["--from", start] if start else []
    if (folder / "last.safetensors").exists():
        how = ["--resume"]
    done = subprocess.run([str(c) for c in [*command, "--out", folder, *how]])
    if done.returncode != 0:
        sys.exit(f"the training in {folder} failed")
    (folder / "finished").touch()


def student(hone, out, name, recipe, channels, epochs, *options, start=None, **more):
    """Trains a student by a recipe, with `more` of its keys set; returns its f32 file."""
    sets = {"name": name, "student.channels": channels, "student.convs": len(channels) + 1, "stage.0.epochs": epochs, **more}
    words = [word for key, value in sets.items() for word in ("--set", f"{key}={value}")]
    folder, model = out / name, out / f"{name}.onnx"
    train([hone, "distill", RECIPES / recipe, *options, *words], folder, start)
    if not model.exists():
        call(hone, "export", folder, "--out", model)
    return model


def arguments(doc, out):
    """What comparisons of students take."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", required=True, type=pathlib.Path, help="sharp photographs")
    parser.add_argument("--kodak", required=True, type=pathlib.Path, help="pictures to measure on")
    parser.add_argument("--epochs", type=int, default=6, help="1,000 updates each, of every student")
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(out))
    return parser


def main():
    parser = arguments(__doc__, "out/ablation")
    parser.add_argument("--teacher", type=pathlib.Path, help="run of `hone teacher train`, instead of training one")
    given = parser.parse_args()
    hone, out = given.bin / "hone", given.out
    out.mkdir(parents=True, exist_ok=True)
    photos = ["--set", f"data.root={given.photos.resolve()}"]

    teacher = given.teacher or out / "defocus-teacher"
    if not given.teacher:
        first = out / "teacher"
        train([hone, "teacher", "train", RECIPES / "teacher.toml", *photos], first)
        train([hone, "teacher", "train", RECIPES / "defocus-teacher.toml", *photos], teacher, first / "best.safetensors")
    cache = out / "cache"
    command = [hone, "teacher", "cache", RECIPES / "defocus.toml", "--teacher", teacher, *photos, "--out", cache]
    if subprocess.run([str(c) for c in command]).returncode != 0:
        sys.exit("the teacher's answers could not be kept")

    models = {}
    for seed in SEEDS:
        for name, weight in (("with", 0.5), ("without", 0.0)):
            models[name, seed] = student(hone, out, f"{name}-{seed}", "defocus.toml", CHANNELS, given.epochs, "--cache", cache,
                                         *photos, **{"seed": seed, "loss.1.weight": weight})

    bench = Bench(hone, out / "measured")
    key, title, degradation, _ = ROWS[0]
    pairs = bench.pairs(key, degradation, given.kodak)
    taught = bench.gain(pairs, "teacher", ["--teacher-run", teacher])
    gains = {run: bench.gain(pairs, model.stem, ["--model", model]) for run, model in models.items()}
    rows = []
    for seed in SEEDS:
        pair = [gains[name, seed] for name in ("with", "without")]
        rows.append([str(seed), *map(signed, pair), signed(pair[0] - pair[1])])
    columns = [[gains[name, seed] for seed in SEEDS] for name in ("with", "without")]
    columns.append([a - b for a, b in zip(*columns)])
    rows.append(["mean ± deviation", *(f"{statistics.mean(c):+.2f} ± {statistics.stdev(c):.2f}" for c in columns)])
    print(f"Gain in luma PSNR (dB) on {bench.count(pairs)} pictures, {title}; teacher {signed(taught)}:\n")
    print(table(["seed", "with teacher", "teacher weight 0", "difference"], rows))


if __name__ == "__main__":
    main()
