#!/usr/bin/env bash
# Fuzzes the engine under the address sanitizer, each target for SECONDS (default 60).
# Usage: device/fuzz/run.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")"
# The sanitizer's flag is not stable yet.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
target=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$target"
fuzz() {
  mkdir -p "target/found/$1"
  "target/$target/release/$1" -max_total_time="$seconds" -rss_limit_mb=2048 -max_len=8192 \
    -timeout=20 -artifact_prefix="target/found/$1-" "target/found/$1" "${@:2}"
}
seconds=${1:-60}
fuzz students
fuzz models ../tests/data
