#!/usr/bin/env bash
# Builds honed for a board on this machine, without Docker: LTO, stripped, ready to ship. Prints
# where it lies and its size.
#
#   cross/build.sh raspberry-pi      64-bit Raspberry Pi OS bookworm: Pi 3, 4, 5, Zero 2 W
set -euo pipefail
cd "$(dirname "$0")/.."
board=${1:-}
source cross/environment.sh "$board"
cargo build --profile board --target "$target" --package hone-device \
  --no-default-features --features "$features"
binary=$binaries/board/honed
echo "honed for $board: ${binary#"$PWD"/}, $(stat -c %s "$binary") bytes"
