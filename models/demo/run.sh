#!/usr/bin/env bash
# The whole road on scenes drawn by code: data -> teacher -> student -> INT8 -> bundle -> honed -> table.
# `make demo` builds first and then runs this; the results are in out/demo.
#   QUICK=1   toy sizes, for the tests
#   OUT=DIR   another folder for the results
#   BIN=DIR   where `hone` and `honed` are (target/release)
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-out/demo}
bin=${BIN:-target/release}
recipes=models/recipes
if [ -n "${QUICK:-}" ]; then recipes=models/demo/quick; fi
step() { printf '\n-- %s\n' "$1"; }
rm -rf "$out"
mkdir -p "$out"

step "scenes: a moving sequence, blurred and sharp, that nothing is trained on"
"$bin/hone" data synth --out "$out/scenes" --images 24 --size 384x256 --sequences 1 --frames "${FRAMES:-60}" --seed 7

step "teacher: a small UNet"
"$bin/hone" teacher train "$recipes/demo-teacher.toml" --out "$out/teacher"

step "student, under the teacher"
"$bin/hone" distill "$recipes/demo.toml" --teacher "$out/teacher" --out "$out/student"

step "the same student without the teacher (ablation)"
"$bin/hone" distill "$recipes/demo.toml" --no-teacher --out "$out/student-alone"

step "ONNX, f32 and INT8"
"$bin/hone" export "$out/student" --out "$out/student.onnx"
"$bin/hone" quantize "$out/student" --out "$out/student.int8.onnx"

step "bundle"
"$bin/hone" bundle keygen --out "$out/key"
"$bin/hone" bundle pack --model demo="$out/student.onnx" --model demo="$out/student.int8.onnx" \
  --key "$out/key" --out "$out/demo.hone"
"$bin/hone" bundle inspect "$out/demo.hone"

step "honed: the moving scene through GStreamer"
"$bin/honed" run --bundle "$out/demo.hone" --trusted-key "$out/key.pub" \
  --source "images:$out/scenes/sequences/val/000/blur" --sink "frames:$out/honed" --sink "file:$out/restored.mkv"

step "what it was worth"
"$bin/hone" eval --run "$out/student" --no-teacher-run "$out/student-alone" --teacher-run "$out/teacher" \
  --onnx "$out/student.onnx" --int8 "$out/student.int8.onnx" \
  --data "$out/scenes/sequences/val" --honed-frames "$out/honed" --out "$out"
