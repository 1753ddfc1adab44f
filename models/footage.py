#!/usr/bin/env python3
"""What a camera's own frames are worth without sharp pictures of them; `make footage` calls it.

usage: models/footage.py --photos DIR --kodak DIR [--teacher RUN] [--epochs N] [--bin DIR] [--out DIR]

The middles of photographs stand for what a shaking camera gives: each is blurred once, and the sharp one is put away. The teacher
answers to the blurred ones (`hone teacher pairs`), and the students of models/mixed.hone go on with these pairs by
models/recipes/footage.toml. Beside them the same students go on with the same frames and the sharp photographs, which
with a camera in the field nobody has. All are measured on the Kodak pictures through the same camera, as
models/report.py does. What is in the output folder already is not done again; a stopped training goes on.
"""
import pathlib

from ablation import RECIPES, arguments, student
from report import ROWS, Bench, run as call, signed, table

MODELS = RECIPES.parent
ROW = next(row for row in ROWS if row[0] == "motion")
CROP = "512x384"
LADDER = {"small": [8] * 5, "large": [16] * 5 + [12]}


def main():
    parser = arguments(__doc__, "out/footage")
    parser.add_argument("--teacher", type=pathlib.Path, default=MODELS / "teachers" / "motion",
                        help="run of `hone teacher train`")
    given = parser.parse_args()
    hone, out = given.bin / "hone", given.out
    out.mkdir(parents=True, exist_ok=True)

    camera, answers = out / "camera", out / "answers"
    if not camera.exists():
        # Seed 2: the Kodak pictures are blurred by other draws.
        call(hone, "data", "pairs", given.photos, "--out", camera, "--degrade", ROW[2], "--seed", 2, "--crop", CROP)
    call(hone, "teacher", "pairs", camera / "blur", "--weights", given.teacher, "--out", answers)

    call(hone, "bundle", "unpack", MODELS / "mixed.hone", "--out", out / "mixed")
    bench = Bench(hone, out / "measured")
    pairs = bench.pairs("motion", ROW[2], given.kodak)
    rows = []
    for level, channels in LADDER.items():
        shipped = out / "mixed" / f"{level}.f32.onnx"
        gains = [bench.gain(pairs, f"mixed {level}", ["--model", shipped])]
        for name, root in (("footage", answers), ("truth", camera)):
            model = student(hone, out, f"{name}-{level}", "footage.toml", channels, given.epochs,
                            start=MODELS / "mixed.hone", **{"data.root": root})
            gains.append(bench.gain(pairs, model.stem, ["--model", model]))
        before, answered, true = gains
        share = f"{100 * (answered - before) / (true - before):.0f} %"
        rows.append([f"`{level}`", *map(signed, gains), share])
    taught = bench.gain(pairs, "teacher", ["--teacher-run", given.teacher])
    print(f"Gain in luma PSNR (dB) on {bench.count(pairs)} pictures, {ROW[1]}; teacher {signed(taught)}:\n")
    print(table(["student", "`mixed` as shipped", "after the teacher's answers about the camera's frames",
                 "after the sharp photographs of these frames", "part of what those add"], rows))
    print(f"\nFrames: {sum(1 for _ in (answers / 'target').iterdir())} of {CROP}.")


if __name__ == "__main__":
    main()
