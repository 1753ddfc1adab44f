#!/usr/bin/env bash
# Puts the libtorch that tch 0.24 is made for (2.11.0) into DEST.
#
#   host/libtorch.sh DEST                 slim CPU build, cut out of PyPI's wheels (about 550 MB to fetch)
#   TORCH=/path host/libtorch.sh DEST     links an unpacked libtorch or a PyTorch package folder
#   TORCH=python host/libtorch.sh DEST    links the PyTorch that `python3` imports
set -euo pipefail
dest=${1:?usage: host/libtorch.sh DEST}
version=2.11.0
stamp="$dest/.hone-libtorch"
want="${TORCH:-slim} $version"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then exit 0; fi

fail() { echo "libtorch: $*" >&2; exit 1; }
mkdir -p "$(dirname "$dest")"
work=$(mktemp -d "$(dirname "$dest")/libtorch.XXXXXX")
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

if [ -n "${TORCH:-}" ]; then
  root=$TORCH
  if [ "$TORCH" = python ]; then
    root=$(python3 -c 'import os, torch; print(os.path.dirname(torch.__file__))') \
      || fail "TORCH=python, but python3 cannot import torch; install torch==$version or unset TORCH"
  fi
  [ -f "$root/lib/libtorch_cpu.so" ] || fail "no lib/libtorch_cpu.so under $root; TORCH names a libtorch folder, or 'python'"
  found=$(cat "$root/build-version" 2>/dev/null || sed -n "s/^__version__ = '\(.*\)'/\1/p" "$root/version.py" 2>/dev/null || true)
  case "$found" in "$version"*) ;; *) fail "$root holds libtorch '${found:-unknown}', hone needs $version" ;; esac
  ln -s "$root/lib" "$work/lib"
  ln -s "$root/include" "$work/include"
else
  echo "libtorch: fetching the CPU part of torch $version (about 550 MB, once)"
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 \
    --platform manylinux2014_x86_64 -d "$work/wheels" \
    "torch==$version" nvidia-cuda-cupti==13.0.85 nvidia-cuda-runtime==13.0.96
  python3 - "$work" <<'PY'
import glob, os, shutil, sys, zipfile
work = sys.argv[1]
keep = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcupti.so.13", "libcudart.so.13"}
os.makedirs(f"{work}/lib")
for wheel in glob.glob(f"{work}/wheels/*.whl"):
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            base = os.path.basename(name)
            if base in keep:
                with z.open(name) as src, open(f"{work}/lib/{base}", "wb") as dst:
                    shutil.copyfileobj(src, dst, 1 << 20)
                keep.discard(base)
            elif name.startswith("torch/include/"):
                z.extract(name, work)
if keep:
    sys.exit(f"libtorch: the wheels lack {sorted(keep)}")
shutil.move(f"{work}/torch/include", f"{work}/include")
PY
  rm -rf "$work/wheels" "$work/torch"
  # The wheel's libtorch.so insists on libtorch_cuda.so; an empty one that only names the CPU
  # library serves the linker, and CUDA is loaded at run time when it is asked for.
  echo | cc -shared -x c - -o "$work/lib/libtorch.so" -Wl,--no-as-needed -L"$work/lib" -l:libtorch_cpu.so -l:libc10.so \
    -Wl,-rpath-link,"$work/lib" -Wl,-soname,libtorch.so
fi
echo "$want" > "$work/.hone-libtorch"
rm -rf "$dest"
mv "$work" "$dest"
trap - EXIT
echo "libtorch: ready in $dest"
