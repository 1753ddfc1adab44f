#!/usr/bin/env python3
"""How old frames are when every output has them, sharpened and passed as they came, in turns.

    device/bench/age.py target/release/honed [--frames 450] [--rounds 1]

Runs `honed` on frames that come from memory by the clock, 30 a second, with the students that come with
it. Prints p50 and p99 of the frame age of each run, and what sharpening adds to the median.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

# Size, student and number format.
CASES = [
    ((1280, 720), "small", "int8"),
    ((1280, 720), "small", "f32"),
    ((1920, 1080), "medium", "int8"),
    ((1920, 1080), "medium", "f32"),
]
INTERVAL_MS = 1000 / 30


def frames(folder, width, height):
    """Eight frames of slanting stripes as files, and the launch line that plays them for ever."""
    for number in range(8):
        row = bytes((x * 3 + number * 8) % 256 for x in range(width + 256))
        luma = b"".join(row[y % 256:y % 256 + width] for y in range(height))
        (folder / f"{number}.i420").write_bytes(luma + bytes([128]) * (width * height // 2))
    # Drawing would take the student's time: 1080p costs videotestsrc more than ten milliseconds a frame.
    return (
        f"gst:multifilesrc location={folder}/%d.i420 loop=true ! rawvideoparse format=i420 width={width} "
        f"height={height} framerate=30/1 ! identity sync=true")


def run(arguments, source, level, precision, *flags):
    command = [
        arguments.honed, "run", "--source", source, "--realtime", "--sink", "null", "--json",
        "--frames", str(arguments.frames), "--level", level, "--precision", precision, *flags]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("honed")
    parser.add_argument("--frames", type=int, default=450)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    print("size       student   format  frames        fps  dropped  engine  age p50  age p99   adds  intervals")
    for _ in range(arguments.rounds):
        for (width, height), level, precision in CASES:
            with tempfile.TemporaryDirectory() as folder:
                source = frames(pathlib.Path(folder), width, height)
                passed = run(arguments, source, level, precision, "--bypass")
                sharpened = run(arguments, source, level, precision)
            for name, report in (("passed", passed), ("sharpened", sharpened)):
                age = report["age_ms"]
                added = age["p50"] - passed["age_ms"]["p50"]
                print(
                    f"{width}x{height:<5} {level:8}  {precision:6}  {name:9}  {report['fps']:6.2f}  {report['dropped']:7}"
                    f"  {report['sharpen_ms']['p50']:6.1f}  {age['p50']:7.1f}  {age['p99']:7.1f}  {added:5.1f}"
                    f"  {age['p99'] / INTERVAL_MS:9.2f}", flush=True)


if __name__ == "__main__":
    main()
