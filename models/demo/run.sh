#!/usr/bin/env bash
# The whole road on scenes drawn by code: scenes -> teacher -> student -> INT8 -> bundle -> honed -> table.
# `make demo` builds and then runs this; the results are in out/demo.
#   OUT=DIR   another folder for the results
#   BIN=DIR   where `hone` and `honed` are (target/release)
#   QUICK=1   a few training steps and frames only: the road, not the figures (used by the tests)
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${OUT:-out/demo}
bin=${BIN:-target/release}
images=24 frames=60 shorten=() speed=()
if [ -n "${QUICK:-}" ]; then
  images=10 frames=6 speed=(--no-speed)
  shorten=(--set stage.0.epochs=1 --set stage.0.steps=12)
fi
# What the demo's camera does: a lens a little soft, a hand a little unsteady, some noise.
camera="motion:length=1..4,angle=0..180 + gaussian:sigma=0.9..1.4 + noise:shot=0..0.0001,read=0..0.0001"
step() { printf '\n-- %s\n' "$*"; }
rm -rf "$out"
mkdir -p "$out"

step "scenes for evaluation, stills and a moving one; training draws its own"
"$bin/hone" data synth --out "$out/scenes" --images $images --size 384x256 --validation 0.25 \
  --sequences 1 --frames $frames --speed 3 --seed 7 \
  --colour luma --degrade "$camera"
moving=$(dirname "$(find "$out/scenes/sequences" -type d -name blur | head -n 1)")

step "teacher: a small U-Net"
"$bin/hone" teacher train models/recipes/demo-teacher.toml "${shorten[@]}" --out "$out/teacher"

step "student, taught by it"
"$bin/hone" distill models/recipes/demo.toml "${shorten[@]}" --teacher "$out/teacher" --out "$out/student"

step "ablation: the same student without the teacher"
"$bin/hone" distill models/recipes/demo.toml "${shorten[@]}" --no-teacher --out "$out/student-alone"

step "ONNX, f32 and INT8"
"$bin/hone" export "$out/student" --out "$out/student.onnx"
"$bin/hone" export "$out/student-alone" --out "$out/student-alone.onnx"
"$bin/hone" quantize "$out/student" --out "$out/student.int8.onnx"

step "bundle, signed"
"$bin/hone" bundle keygen --out "$out/demo.key"
"$bin/hone" bundle pack --model demo="$out/student.onnx" --model demo="$out/student.int8.onnx" \
  --key "$out/demo.key" --out "$out/demo.hone"
"$bin/hone" bundle verify "$out/demo.hone" --trusted-key "$out/demo.key.pub"

step "honed: the moving scene through GStreamer"
for precision in f32 int8; do
  "$bin/honed" run --bundle "$out/demo.hone" --trusted-key "$out/demo.key.pub" --precision $precision \
    --source "images:$moving/blur" --sink "frames:$out/honed-$precision" --sink "$out/restored-$precision.mkv"
done

step "what it was worth"
compare="--data $out/scenes --input $moving/blur --truth $moving/sharp"
# f32: honed's frames are within 1/255 of what hone predicts.
"$bin/hone" eval $compare --onnx "$out/student.onnx" --honed-frames "$out/honed-f32" --honed-tolerance 1 \
  --no-speed --out "$out/f32" >/dev/null
# INT8: equal to the byte.
"$bin/hone" eval $compare --teacher-run "$out/teacher" --also "no teacher=$out/student-alone.onnx" \
  --onnx "$out/student.onnx" --int8 "$out/student.int8.onnx" \
  --honed-frames "$out/honed-int8" --honed-tolerance 0 --video 30 \
  "${speed[@]}" --out "$out"
if [ -z "${QUICK:-}" ]; then python3 models/demo/check.py "$out/report.json"; fi
echo "see $out: before_after_truth.png, side_by_side.mp4, report.html, report.json"
