# Sourced by cross/build.sh and cross/test.sh with a board's name: compiler, linker, libraries.
# Sets `target`, `features`, `sysroot`, `binaries`.

case ${1:-} in
  raspberry-pi) features=camera,pi ;;
  *)
    echo "usage: $0 BOARD: raspberry-pi" >&2
    exit 2
    ;;
esac

cross/sysroot.sh
target=aarch64-unknown-linux-gnu
sysroot=$PWD/.cache/arm64/sysroot
libraries=$sysroot/usr/lib/aarch64-linux-gnu

# A folder of its own: another target's flags would make cargo build all of it again.
export CARGO_TARGET_DIR=$PWD/target/arm
binaries=$CARGO_TARGET_DIR/$target

export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_SYSROOT_DIR=$sysroot
export PKG_CONFIG_LIBDIR=$libraries/pkgconfig:$sysroot/usr/share/pkgconfig
flags="--target=aarch64-linux-gnu --sysroot=$sysroot"
export CC_aarch64_unknown_linux_gnu=clang AR_aarch64_unknown_linux_gnu=ar
export CFLAGS_aarch64_unknown_linux_gnu=$flags
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=clang
link=
for flag in $flags -fuse-ld=lld; do link+=" -C link-arg=$flag"; done
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=$link

# Debian's rustc, where rustup has no standard library for ARM.
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  HONE_DEBIAN_RUST=$(realpath .cache/arm64/rust)
  export HONE_DEBIAN_RUST RUSTC=$PWD/cross/debian-rustc
fi
