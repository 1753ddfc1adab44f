#!/usr/bin/env bash
# Runs ARM code here, under qemu-user with the real GStreamer of the sysroot: the tests of hone-shared and
# hone-device as a Cortex-A72 (Pi 4, whose kernels a Pi 3 and a Jetson Nano use too), the kernels again as
# a Cortex-A76 (Pi 5, which has dot products), then `honed` itself, with a pipeline of 30 frames.
set -euo pipefail
cd "$(dirname "$0")/.."
source cross/environment.sh raspberry-pi

runner=CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER
export $runner="qemu-aarch64-static -cpu cortex-a72 -L $sysroot"
# GStreamer looks for plugins by itself: its scanner would be a second program to emulate.
export GST_PLUGIN_SYSTEM_PATH=$libraries/gstreamer-1.0 GST_REGISTRY_FORK=no
export GST_REGISTRY=$CARGO_TARGET_DIR/gstreamer-registry.bin
options=(--profile board-test --target "$target" --package hone-shared --package hone-device
  "${features[@]}")

# Not the tests that start honed as a program of this machine, nor the one of six billion products, which
# takes an emulator minutes, nor the one that opens a terminal: the emulator looks for it below the sysroot.
cargo test "${options[@]}" --lib --bins --test same_bytes -- --skip bands_and_threads_change_nothing \
  --skip frames_come_through_a_serial_line
env $runner="qemu-aarch64-static -cpu cortex-a76 -L $sysroot" \
  cargo test "${options[@]}" --lib --test same_bytes -- kernels:: int8

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
student=device/tests/data/luma.int8.onnx
fail() {
  echo "cross/test.sh: $*" >&2
  exit 1
}
# What the user would run on the board, with an instruction set of that board.
honed() {
  qemu-aarch64-static -cpu "${cpu:-cortex-a72}" -L "$sysroot" "$binaries/board-test/honed" "$@"
}

honed inspect "$student" | tee "$out/inspect"
grep -q neon "$out/inspect" || fail "honed inspect names no NEON kernels"
honed config --print-default >"$out/honed.toml"
honed config --check "$out/honed.toml"
honed doctor --model "$student"
honed bench --model "$student" --size 320x240 --frames 3

frames=30
want=$((frames * 160 * 120 * 3 / 2))
for cpu in cortex-a72 cortex-a76; do
  honed run --model "$student" --every-frame --json --sink "raw:$out/$cpu" \
    --source "gst:videotestsrc num-buffers=$frames ! video/x-raw,format=I420,width=160,height=120" \
    >"$out/report.json"
  got=$(stat -c %s "$out/$cpu")
  [ "$got" -eq "$want" ] || fail "$frames frames of I420 are $want bytes, honed wrote $got"
  grep '"engine"' "$out/report.json"
done
cmp "$out/cortex-a72" "$out/cortex-a76" || fail "NEON with and without dot products differ"
echo "honed under qemu: $frames frames through GStreamer, the same bytes on a Pi 4 and a Pi 5"
