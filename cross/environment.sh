# Sourced by cross/build.sh and cross/test.sh with a board's name: compiler, linker, libraries.
# Sets `target`, `features`, `ages` of the board's libraries, `linker`, `sysroot`, `libraries`, `binaries`.

case ${1:-} in
  raspberry-pi)
    features=(--features pi)
    ages=(--glibc 2.36 --glib 2.74 --gstreamer 1.22)
    ;;
  jetson-nano)
    features=()
    ages=(--glibc 2.27 --glib 2.56 --gstreamer 1.14.5)
    ;;
  *)
    echo "usage: $0 BOARD: raspberry-pi or jetson-nano" >&2
    exit 2
    ;;
esac

cross/sysroot.sh "$1"
target=aarch64-unknown-linux-gnu
linker=$PWD/cross/link/$1
sysroot=$PWD/.cache/arm64/sysroot
libraries=$sysroot/usr/lib/aarch64-linux-gnu

# A folder of its own: another target's flags would make cargo build all of it again. The boards share
# it, for all but the last link is the same for both.
export CARGO_TARGET_DIR=$PWD/target/arm
binaries=$CARGO_TARGET_DIR/$target

export PKG_CONFIG_ALLOW_CROSS=1 PKG_CONFIG_SYSROOT_DIR=$sysroot
export PKG_CONFIG_LIBDIR=$libraries/pkgconfig:$sysroot/usr/share/pkgconfig
export CC_aarch64_unknown_linux_gnu=clang AR_aarch64_unknown_linux_gnu=ar
export CFLAGS_aarch64_unknown_linux_gnu="--target=aarch64-linux-gnu --sysroot=$sysroot"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$PWD/cross/link/raspberry-pi

# Debian's rustc, where rustup has no standard library for ARM.
if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  HONE_DEBIAN_RUST=$(realpath .cache/arm64/rust)
  export HONE_DEBIAN_RUST RUSTC=$PWD/cross/debian-rustc
fi
