"""The engine beside ONNX Runtime on four shapes of student: medians, interleaved in one run.

    python device/bench/table.py target/release/honed [--frames N] [--isa avx2]

Needs numpy, onnx and onnxruntime. Ratios are ONNX Runtime's median over honed's; `peak` is the share
of what the machine's kernels reach on data in the first-level cache (Winograd may exceed 1). `MB` is
the growth of honed's resident memory, `start` the time from the model's bytes to the first frame.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from models import SHAPES


def bench(honed, model, size, threads, frames, environment):
    command = [honed, "bench", "--model", model, "--size", size, "--threads", str(threads)]
    command += ["--frames", str(frames), "--json", "--vs-ort", sys.executable]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("honed")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--only", default="", help="students whose name holds this")
    parser.add_argument("--isa", choices=["avx2"], help="keep both sides to these instructions")
    options = parser.parse_args()
    print(f"{'student':24}{'':6}{'threads':>8}{'ort ms':>9}{'hone ms':>9}{'ratio':>7}{'peak':>7}{'MB':>7}{'start':>7}  isa")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(__file__).with_name("models.py")
        subprocess.run([sys.executable, script, folder], check=True)
        environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache"}
        if options.isa:
            import without_avx512

            without_avx512.copy_into(f"{folder}/python")
            environment |= {"HONE_ISA": options.isa, "PYTHONPATH": f"{folder}/python"}
        for name in (n for n in SHAPES if options.only in n):
            size = "640x360" if name.startswith("rgb-1") else "1920x1080"
            for precision in ("f32", "int8"):
                for threads in (1, 2):
                    model = f"{folder}/{name}.{precision}.onnx"
                    r = bench(options.honed, model, size, threads, options.frames, environment)
                    print(
                        f"{name:24}{precision:6}{threads:8}{r['ort_median_ms']:9.2f}{r['median_ms']:9.2f}"
                        f"{r['ort_ratio']:7.2f}{r['peak_share']:7.2f}{(r.get('extra_memory_bytes') or 0) / 1e6:7.1f}"
                        f"{r['start_ms']:7.0f}  {r['isa']}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
