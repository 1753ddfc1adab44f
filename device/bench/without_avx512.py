"""A copy of the Python package onnxruntime that keeps to AVX2.

ONNX Runtime has no switch for it: its kernels ask the processor which registers the system saves
(`xor ecx, ecx; xgetbv`). In the copy that question is answered with x87, SSE and AVX (`mov eax, 7`),
so AVX-512 and AMX are left alone.
"""

import shutil
from pathlib import Path

import onnxruntime

ASKED, ANSWER = b"\x31\xc9\x0f\x01\xd0", b"\xb8\x07\x00\x00\x00"


def copy_into(folder):
    """Makes the copy; a Python with `folder` first in its path imports it."""
    package = Path(folder, "onnxruntime")
    shutil.copytree(Path(onnxruntime.__file__).parent, package)
    patched = 0
    for library in package.rglob("*.so*"):
        code = library.read_bytes()
        patched += code.count(ASKED)
        library.write_bytes(code.replace(ASKED, ANSWER))
    if not patched:
        raise SystemExit("this build of ONNX Runtime asks otherwise: it cannot be kept to AVX2")
