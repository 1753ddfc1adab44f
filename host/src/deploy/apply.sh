# Puts staged files in their places and lets honed try the update. Run as root by receive.sh:
#   apply.sh STAGE ROOT SECONDS [FLAG...]
# STAGE/files is laid out as below ROOT; STAGE/update holds bundle.hone and perhaps honed. The flags go
# to `honed slots install`. Waits SECONDS for the trial's end, 0 not at all.
set -eu
stage=$1 root=$2 seconds=$3; shift 3
state=$root/var/lib/honed honed=$root/usr/local/bin/honed config=$root/etc/honed.toml
say() { echo "$*"; }

mkdir -p "$state"
exec 9>"$state/deploy.lock"
flock -n 9 || { echo "error: another deploy to this board is under way" >&2; exit 1; }

if [ -d "$stage/files" ]; then
  (cd "$stage/files" && find . -type f | sort) >"$stage/list"
  while read -r file; do
    target=$root/${file#./}
    mkdir -p "$(dirname "$target")"
    cp -p "$stage/files/$file" "$target.new"
    chown 0:0 "$target.new" 2>/dev/null || true
    sync "$target.new"
    mv -f "$target.new" "$target"
    say "wrote $target"
  done <"$stage/list"
fi
if grep -qs sysusers "$stage/list"; then systemd-sysusers; fi
if grep -qs udev "$stage/list"; then udevadm control --reload && udevadm trigger || say "udev was not told: it will be at the next start"; fi
if grep -qs systemd/system "$stage/list"; then systemctl daemon-reload; systemctl enable honed 9>&-; fi

if [ -d "$stage/update" ]; then
  [ ! -f "$stage/update/honed" ] || set -- "$@" --program "$stage/update/honed"
  "$honed" slots install "$stage/update/bundle.hone" --folder "$state" --config "$config" "$@"
fi
# A service that does not come up is judged by its slots, not by systemctl.
systemctl restart honed 9>&- || say "systemctl reports that honed did not start"
if [ -d "$stage/update" ] && [ "$seconds" -gt 0 ]; then
  "$honed" slots wait --folder "$state" --seconds "$seconds"
fi
