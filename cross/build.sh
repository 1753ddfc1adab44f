#!/usr/bin/env bash
# Builds honed for a board on this machine, without Docker: LTO, stripped, ready to ship. Prints
# where it lies and its size.
#
#   cross/build.sh raspberry-pi   64-bit Raspberry Pi OS bookworm: Pi 3, 4, 5, Zero 2 W
#   cross/build.sh jetson-nano    JetPack 4.6 (Ubuntu 18.04)
#   cross/build.sh BOARD board-test   the profile of `make arm`: links against the same libraries, sooner
#
# Fails when the binary needs symbols that the board's libraries are too old for.
set -euo pipefail
cd "$(dirname "$0")/.."
board=${1:-}
profile=${2:-board}
source cross/environment.sh "$board"
cargo rustc --profile "$profile" --target "$target" --package hone-device --bin honed \
  "${features[@]}" -- -C linker="$linker"
binary=$CARGO_TARGET_DIR/honed-$board
[ "$profile" = board ] || binary+=-$profile
install -m 755 "$binaries/$profile/honed" "$binary"
cross/symbols.py "$binary" --sysroot "$sysroot" "${ages[@]}"
echo "honed for $board: ${binary#"$PWD"/}, $(stat -c %s "$binary") bytes"
