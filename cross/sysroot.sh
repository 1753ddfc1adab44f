#!/usr/bin/env bash
# Sets up what cross/build.sh needs to compile for 64-bit ARM without Docker: Debian bookworm's
# arm64 libraries (what Raspberry Pi OS is made of) in .cache/arm64/sysroot, and Rust's standard
# library for aarch64. Unpacks packages and installs none of them; quiet when all is there.
#
#   cross/sysroot.sh BOARD     jetson-nano wants Zig too, in .cache/arm64/zig (from PyPI)
#
# The standard library comes from rustup. Where rustup or its server is missing, Debian's own
# rustc with its arm64 library is unpacked into .cache/arm64/rust and used in its place.
#
#   DEBIAN_MIRROR=http://...   takes Debian from elsewhere
#   RUST_FROM=debian           does not ask rustup
set -euo pipefail
cd "$(dirname "$0")/.."

suite=bookworm
mirror=${DEBIAN_MIRROR:-http://deb.debian.org}
mkdir -p .cache/arm64
arm=$(realpath .cache/arm64)
# Stands in the stamps: a change of the lists below unpacks everybody's sysroot anew.
version=4

sysroot_packages=(
  libc6-dev libgcc-12-dev linux-libc-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
  # To run the result under qemu-user: the plugins of a test pipeline.
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good
)

.ci/packages mmdebstrap debian-archive-keyring qemu-user-static clang lld binutils pkg-config

# Unpacks packages of one architecture, with what they depend on, into a folder.
unpack() {
  local architecture=$1 folder=$2 list mode=unshare
  list=$(IFS=,; echo "${*:3}")
  [ "$(id -u)" -ne 0 ] || mode=root
  rm -rf "$folder" "$folder.part"
  mmdebstrap --quiet --mode="$mode" --variant=extract --architectures="$architecture" \
    --include="$list" --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
    "$suite" "$folder.part" \
    "deb $mirror/debian $suite main" \
    "deb $mirror/debian $suite-updates main" \
    "deb $mirror/debian-security $suite-security main"
  rm -rf "$folder.part"/usr/share/{doc,man,locale}
  # Links to /lib/... would lead to this machine's files, or nowhere: libm.so would be passed over for libm.a.
  find "$folder.part" -type l -lname '/*' | while read -r link; do
    ln -sfnr "$folder.part$(readlink "$link")" "$link"
  done
  mv "$folder.part" "$folder"
}

ready() { [ "$(cat "$1/.hone-ready" 2>/dev/null)" = "$version" ]; }
done_with() { echo "$version" >"$1/.hone-ready"; }

if ! ready "$arm/sysroot"; then
  echo "arm64: unpacking Debian $suite libraries into .cache/arm64/sysroot (once)"
  unpack arm64 "$arm/sysroot" "${sysroot_packages[@]}"
  done_with "$arm/sysroot"
fi

if [ "${1:-}" = jetson-nano ] && ! ready "$arm/zig"; then
  echo "arm64: setting up Zig in .cache/arm64/zig (once)"
  .ci/packages python3-venv
  rm -rf "$arm/zig"
  python3 -m venv "$arm/zig"
  "$arm/zig/bin/pip" install --quiet cargo-zigbuild==0.24.0 ziglang==0.17.0
  done_with "$arm/zig"
fi

target=aarch64-unknown-linux-gnu
[ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || exit 0
if [ "${RUST_FROM:-rustup}" = rustup ] && command -v rustup >/dev/null; then
  echo "arm64: fetching Rust's standard library for $target (once)"
  timeout 300 rustup --quiet target add "$target" && exit 0
  echo "arm64: rustup cannot fetch it, taking Debian's rustc"
fi
if ! ready "$arm/rust"; then
  echo "arm64: unpacking Debian's rustc into .cache/arm64/rust (once)"
  unpack "$(dpkg --print-architecture)" "$arm/rust" rustc-web
  unpack arm64 "$arm/std" libstd-rust-web-dev
  cp -r "$arm/std/usr/lib/rustlib/$target" "$arm/rust/usr/lib/rustlib/"
  rm -rf "$arm/std"
  done_with "$arm/rust"
fi
