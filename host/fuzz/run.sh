#!/bin/bash
# Fuzzes the checkpoint reader for SECONDS (default 120) on one core, within 512 MB.
# Usage: host/fuzz/run.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")"
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
target=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --target "$target"
mkdir -p target/found
"target/$target/release/checkpoint" -max_total_time="${1:-120}" -rss_limit_mb=512 -max_len=4096 \
  -timeout=5 -artifact_prefix=target/found/ target/found corpus
