#!/usr/bin/env bash
# Stands in for rustc when cargo compiles this workspace's own crates: adds the address sanitizer,
# whose flag is not stable yet. Dependencies stay as they are.
RUSTC_BOOTSTRAP=1 exec "$@" -Zsanitizer=address
