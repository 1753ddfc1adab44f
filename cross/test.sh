#!/usr/bin/env bash
# Runs ARM code here: the unit tests of hone-shared and hone-device, then `honed` over a pipeline of
# 30 frames with the real GStreamer of the sysroot, all under qemu-user as a Cortex-A72 (Pi 4).
set -euo pipefail
cd "$(dirname "$0")/.."
source cross/environment.sh raspberry-pi

qemu=(qemu-aarch64-static -cpu cortex-a72 -L "$sysroot")
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="${qemu[*]}"
# GStreamer looks for plugins by itself: its scanner would be a second program to emulate.
export GST_PLUGIN_SYSTEM_PATH=$libraries/gstreamer-1.0 GST_REGISTRY_FORK=no
export GST_REGISTRY=$CARGO_TARGET_DIR/gstreamer-registry.bin
options=(--profile board-test --target "$target" --package hone-shared --package hone-device
  --no-default-features --features "hone-device/${features//,/,hone-device/}")

cargo build "${options[@]}"
# Not the integration tests: they start honed as a program of this machine.
cargo test "${options[@]}" --lib

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"${qemu[@]}" "$binaries/board-test/honed" run --model device/tests/data/luma.onnx \
  --source 'gst:videotestsrc num-buffers=30 ! video/x-raw,format=I420,width=160,height=120' \
  --every-frame --sink "raw:$out/frames" --json >"$out/report.json"
want=$((30 * 160 * 120 * 3 / 2))
got=$(stat -c %s "$out/frames")
if [ "$got" -ne "$want" ]; then
  echo "cross/test.sh: 30 frames of I420 are $want bytes, honed wrote $got" >&2
  cat "$out/report.json" >&2
  exit 1
fi
echo "honed under qemu: 30 frames through GStreamer"
