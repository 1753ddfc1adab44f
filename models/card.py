"""The parts of a model card that are not figures of quality: training, data, pictures, limits. models/pack.py uses it."""
import hashlib
import json
import os
import tomllib

import report

ABOUT = {
    "defocus": "A soft or slightly defocused lens: Gaussian of 0.8 to 1.8 pixels, discs of 1 to 2.2 pixels, noise.",
    "motion": "A shaking camera: straight motion and tremor of 3 to 11 pixels, noise.",
    "conference": "A video call: reduced by 1.5 to 2, with or without H.264 at 150 to 600 kbit/s or JPEG.",
    "mixed": "Any of these, and often nothing to mend: the default of `honed run`.",
}
LIMITS = """It restores luma alone; colour fringes stay. It knows the cameras of its recipe: stronger blur is mended in
part, other faults (rolling shutter, heavy noise, dirt) not at all. What the blur has erased stays erased. A picture
that is sharp already comes out changed: by how much is in the second table."""
# A drawn scene of a seed that no training uses.
SCENE = ["--images", 1, "--seed", 99, "--size", "480x360", "--degrade", "none", "--colour", "luma"]


def training(runs, levels):
    """One row a level: how long, from which weights, under which teacher, by which recipe."""
    rows = []
    for level in levels:
        run = runs / level
        inputs = json.loads((run / "run.json").read_text())
        stage = tomllib.loads((run / "recipe.toml").read_text())["stage"][0]
        last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
        teacher, start = inputs.get("teacher"), inputs.get("start_sha256")
        rows.append([level, f"{last['step']:,} of {stage['batch']} patches of {stage['crop']}x{stage['crop']}",
                     f"{last['seconds'] / 60:.1f}", teacher["weights_sha256"][:12] if teacher else "none",
                     start[:12] if start else "random", inputs["recipe_sha256"][:12]])
    return report.table(["level", "updates", "minutes", "teacher", "start", "recipe"], rows)


SCENES = "photographs and of 40 drawn scenes (`hone data synth --seed 7`)"


def data(runs, levels):
    """What the students were trained on, by the hashes that the pools of patches record."""
    pools = {}
    for file in sorted(runs.glob("cache*/cache.json")):
        pool = json.loads(file.read_text())
        # As a run names its pool.
        pools[hashlib.sha256(json.dumps(pool, separators=(",", ":")).encode()).hexdigest()] = pool
    taught = {}
    for level in levels:
        taught.setdefault(json.loads((runs / level / "run.json").read_text())["pool"], []).append(level)
    texts = []
    for pool, those in taught.items():
        pictures = pools[pool]["pictures_sha256"][:12]
        who = "" if len(taught) == 1 else f" ({', '.join(those)})"
        texts.append(f"{pools[pool]['count']:,} patches of {SCENES},\npictures' SHA-256 {pictures}, "
                     f"data table's {pools[pool]['data_sha256'][:12]}{who}")
    return "; on\n".join(texts) + "."


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} cores of {names[0] if names else 'an unknown processor'}"


def picture(bench, camera, model):
    """Draws before, after and truth of a scene nobody trained on; returns the file and the gain in dB."""
    key, _, degradation, _ = next(row for row in report.ROWS if camera in (row[3], "mixed"))
    scene, look = bench.out / "scene", bench.out / "eval" / f"scene-{camera}"
    if not scene.exists():
        report.run(bench.hone, "data", "synth", "--out", scene, *SCENE)
    drawn = scene / "train" / "sharp"
    pairs = bench.pairs(f"scene-{key}", degradation, drawn if drawn.exists() else scene / "val" / "sharp")
    found = json.loads(report.run(bench.hone, "eval", "--data", pairs, "--tune", 1, "--colour", "luma", "--no-speed",
                                  f"--also={model.stem}={model}", "--out", look, "--json"))
    gain = next(row["gain_db"] for row in found["rows"] if row["name"] == model.stem)
    return look / "before_after_truth.png", gain
