#!/usr/bin/env bash
# A board without a board: Debian bookworm with systemd and sshd in a container (systemd-nspawn), to which `hone deploy`
# brings `honed` as README says. Then a look at the stream, a hang, an update that fails, a plug pulled during a trial, switched off and on.
#
# usage: cross/container.sh x86_64 | arm64
#
# Needs root. arm64 runs under qemu, where everything is a hundred times slower than on a board, with the `honed` that
# `make boards` built. The container stays in .cache for the next time.
set -euo pipefail
cd "$(dirname "$0")/.."
machine=${1:-x86_64}
cache=$PWD/.cache/container
root=$cache/$machine
port=2222 # sshd's; the container shares the network of this machine
bundle=out/demo/demo.hone
key=out/demo/demo.key.pub
hone=target/release/hone
fail() {
  echo "cross/container.sh: $*" >&2
  exit 1
}
case $machine in
  x86_64) architecture=amd64 honed=target/release/honed age=200 size=640x480 ;;
  arm64) architecture=arm64 honed=target/arm/honed-raspberry-pi age=10000 size=96x64 ;;
  *) fail "$machine is neither x86_64 nor arm64" ;;
esac
[ "$(id -u)" = 0 ] || fail "a container needs root"
[ -x "$hone" ] && [ -x "$honed" ] || fail "build first: make build$([ "$machine" = arm64 ] && echo ' boards')"
[ -f "$bundle" ] || fail "$bundle is missing: make demo leaves it there"
.ci/packages mmdebstrap arch-test systemd-container qemu-user-static openssh-client gstreamer1.0-tools

interpreter() { # lets the kernel start programs for aarch64, those of root (C) and in other roots (F) too
  [ "$machine" = arm64 ] && [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || return 0
  mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  echo ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:FC' \
    >/proc/sys/fs/binfmt_misc/register
}
system() { # what a fresh card holds: an account with sudo, a public key, no honed
  [ ! -f "$root.ready" ] || return 0
  rm -rf "$root"
  mkdir -p "$cache"
  mmdebstrap --quiet --architectures="$architecture" --variant=minbase \
    --include=systemd,systemd-sysv,dbus,udev,openssh-server,sudo,iproute2,ca-certificates bookworm "$root"
  [ -f "$cache/key" ] || ssh-keygen -q -t ed25519 -N '' -f "$cache/key"
  chroot "$root" useradd --create-home --shell /bin/bash pi
  echo 'pi ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/pi"
  install -d -m 700 "$root/home/pi/.ssh"
  install -m 600 "$cache/key.pub" "$root/home/pi/.ssh/authorized_keys"
  chroot "$root" sh -c 'chown -R pi:pi ~pi/.ssh'
  echo "Port $port" >>"$root/etc/ssh/sshd_config"
  echo camera >"$root/etc/hostname"
  echo '127.0.0.1 localhost camera' >"$root/etc/hosts"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  touch "$root.ready"
}
start() {
  setsid systemd-nspawn --quiet --directory="$root" --boot --register=no --keep-unit --machine=camera \
    >"$cache/console.log" 2>&1 </dev/null &
  for _ in $(seq 300); do
    sleep 1
    on true 2>/dev/null && return
  done
  fail "the container does not answer by ssh; $cache/console.log says why"
}
pull_the_plug() { # the first process of the container, and the kernel all others with it
  local keeper
  keeper=$(pgrep -f "^systemd-nspawn .*--directory=$root " || true)
  [ -n "$keeper" ] || return 0
  pkill -KILL -P "$keeper"
  while [ -e "/proc/$keeper" ]; do sleep 0.1; done
}
ssh_config=$(mktemp)
trap 'pull_the_plug; rm -f "$ssh_config"' EXIT
cat >"$ssh_config" <<CONFIG
Host camera
  HostName 127.0.0.1
  Port $port
  User pi
  IdentityFile $cache/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
CONFIG
on() { ssh -F "$ssh_config" -o ConnectTimeout=5 camera "$@"; }
deploy() { "$hone" deploy camera --ssh "ssh -F $ssh_config" "$@"; }
status() { "$hone" status camera --ssh "ssh -F $ssh_config"; }
step() { printf '\n-- %s\n' "$*"; }
wait_for() { # WORDS COMMAND...: until the command prints the words
  local words=$1
  shift
  for _ in $(seq 120); do
    "$@" 2>/dev/null | grep -q -- "$words" && return
    sleep 1
  done
  "$@" || true
  fail "no '$words' within two minutes"
}

interpreter
system
pull_the_plug
start

step "packages, as cross/README.md names them"
on sudo apt-get -qq update
on sudo DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends libgstrtspserver-1.0-0 \
  gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly \
  gstreamer1.0-libav gstreamer1.0-tools >"$cache/apt.log" 2>&1

step "the first deploy"
config=$cache/camera.toml
target/release/honed config --print-default |
  sed "s|^name = .*|name = \"test\"|; s|^size = .*|size = \"$size\"|; s|^sinks = .*|sinks = [\"rtsp\"]|
    s|^trial_age_ms = .*|trial_age_ms = $age|" >"$config"
target/release/honed config --check "$config"
deploy "$bundle" --program "$honed" --trusted-key "$key" --config "$config"
wait_for "proved itself" status
on systemctl show honed -p ActiveState -p WatchdogUSec -p NRestarts
on systemd-analyze verify /etc/systemd/system/honed.service

step "a look at the stream"
timeout 120 gst-launch-1.0 -q rtspsrc location=rtsp://127.0.0.1:8554/live protocols=tcp ! rtph264depay ! h264parse \
  ! avdec_h264 ! videoconvert ! pngenc snapshot=true ! filesink location="$cache/stream.png"
file "$cache/stream.png"

step "honed hangs: the watchdog starts it again"
on "sudo kill -STOP \$(systemctl show honed -p MainPID --value)"
wait_for "NRestarts=1" on systemctl show honed -p NRestarts
wait_for "^active" on systemctl is-active honed

step "an update that never sharpens in time goes back by itself"
sed "s|^trial_age_ms = .*|trial_age_ms = 1|" "$config" >"$cache/strict.toml"
if deploy models/defocus.hone --trusted-key models/release.pub --config "$cache/strict.toml" >"$cache/strict.log" 2>&1; then
  fail "the update was kept"
fi
cat "$cache/strict.log"
# Any other failure, of the connection or of a refusal, proves nothing.
grep -q "was given up" "$cache/strict.log" || fail "the deploy failed before a trial could"
wait_for "demo" status

step "the plug is pulled while an update is on trial"
state=$root/var/lib/honed/state.json
deploy models/defocus.hone --config "$config" >"$cache/cut.log" 2>&1 &
# Not any change: the service that came back may still be writing.
until grep -q '"trial": {' "$state"; do
  kill -0 $! 2>/dev/null || fail "the deploy ended without a trial: $(cat "$cache/cut.log")"
  sleep 0.02
done
pull_the_plug
wait || true
cat "$cache/cut.log"
grep -A3 '"trial"' "$state" || echo "(the trial was over already)"
start
wait_for "proved itself" status
status

step "switched off and on"
on sudo systemctl poweroff || true # the connection goes with it
while pgrep -f "^systemd-nspawn .*--directory=$root " >/dev/null; do sleep 1; done
start
wait_for "^active" on systemctl is-active honed
status
on sudo journalctl -u honed -b --no-pager -o cat | tail -n 5
