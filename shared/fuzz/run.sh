#!/bin/bash
# Fuzzes TARGET (bundle or telemetry) for SECONDS (default 120) on one core, within 512 MB.
# Usage: shared/fuzz/run.sh TARGET [SECONDS]
set -euo pipefail
cd "$(dirname "$0")"
name=${1:?name a target: bundle or telemetry}
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
target=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$target" --bin "$name"
mkdir -p "target/found/$name" "corpus/$name"
"target/$target/release/$name" -max_total_time="${2:-120}" -rss_limit_mb=512 -max_len=4096 \
  -timeout=5 -artifact_prefix="target/found/" "target/found/$name" "corpus/$name"
