# Puts staged files in their places and lets honed try the update. Run as root by receive.sh:
#   apply.sh STAGE ROOT SECONDS [FLAG...]
# STAGE/files is laid out as below ROOT, and so is STAGE/defaults, for what is not there yet; STAGE/update
# holds bundle.hone and perhaps honed. The flags go to `honed slots install`. Waits SECONDS for the trial's end, 0 not at all. What is refused leaves the
# board as it was.
set -eu
# The service's user reads what root writes, whatever the caller's umask.
umask 022
stage=$1 root=$2 seconds=$3; shift 3
state=$root/var/lib/honed honed=$root/usr/local/bin/honed
unit=etc/systemd/system/honed.service
# Everything is here: the connection is no longer needed, and to lose it must not leave half of the work.
trap : HUP PIPE
trap 'exit 1' INT TERM
say() { echo "$*" || true; }
fail() { echo "error: $*" >&2 || true; exit 1; }

# Not in the folder of the slots: that is the service's user's, who could lead root elsewhere by a link.
mkdir -p "$root/run"
exec 9>"$root/run/hone-deploy.lock"
flock -n 9 || fail "another deploy to this board is under way"

if [ -d "$stage/defaults" ]; then
  (cd "$stage/defaults" && find . -type f) | while read -r file; do
    [ ! -e "$root/$file" ] || continue
    mkdir -p "$(dirname "$stage/files/$file")"
    mv "$stage/defaults/$file" "$stage/files/$file"
  done
fi
for program in "$stage/update/honed" "$stage/files/usr/local/bin/honed"; do
  [ -f "$program" ] || continue
  said=$("$program" --version 2>&1) || fail "the program given does not start on this board: $(echo "$said" | head -n 1)"
  case $said in
    "honed "*) ;;
    *) fail "the program given is no honed: asked for its version, it says '$(echo "$said" | head -n 1)'" ;;
  esac
done
# What lies in the folder of the slots runs as the user that owns it, never as root.
as_service() {
  owner=$(stat -L -c %u "$state")
  if [ "$owner" = "$(id -u)" ]; then
    "$@"
    return
  fi
  user=$(stat -L -c %U "$state")
  # With the groups that a drop-in gives the service, for a key that only they may read.
  more=$(systemctl show honed -p SupplementaryGroups --value 2>/dev/null) || more=
  list='' flags=''
  for group in $(id -Gn "$user") $more; do list=$list,$group flags="$flags -G $group"; done
  if command -v setpriv >/dev/null; then
    setpriv --reuid "$owner" --regid "$(stat -L -c %g "$state")" --groups "${list#,}" "$@"
  else
    runuser -u "$user" $flags -- "$@"
  fi
}
if [ -f "$stage/files/etc/honed.toml" ]; then
  # Judged by the honed that will read it: the one that comes along, or else the active slot's.
  slot=$("$honed" status --json --folder "$state" 2>/dev/null | sed -n 's/.*"active":"\([ab]\)".*/\1/p')
  for judge in "$stage/update/honed" "$stage/files/usr/local/bin/honed" "$state/$slot/honed" "$honed"; do
    [ ! -x "$judge" ] || break
  done
  as=
  [ "$judge" != "$state/$slot/honed" ] || as=as_service
  # By standard input: that user may not look into the stage.
  said=$($as "$judge" config --check /dev/stdin 2>&1 9>&- <"$stage/files/etc/honed.toml") ||
    fail "honed refuses the configuration: $(echo "$said" | tail -n 1 | sed 's/^error: //; s|^/dev/stdin: ||')"
  # What a person should know all the same.
  echo "$said" | sed -n 's|^[a-z]*: /dev/stdin: |note: |p' || true
fi

: >"$stage/list"; : >"$stage/moved"
[ ! -d "$stage/files" ] || (cd "$stage/files" && find . -type f | sort) >"$stage/list"
# Tells the system of files that came or went.
settle() {
  if grep -q sysusers "$stage/moved"; then systemd-sysusers; fi
  if grep -q udev "$stage/moved"; then udevadm control --reload && udevadm trigger || say "udev was not told: it will be at the next start"; fi
  if grep -q "$unit" "$stage/moved"; then systemctl daemon-reload; fi
}
# Where a file really is: a link to one stays, unless it leads out of the root.
top=$(readlink -f "$root/")
at() {
  real=$(readlink -f "$root/$1") || real=
  if [ -e "$real" ] && [ ! -f "$real" ]; then real=; fi
  case $real in "${top%/}"/*) echo "$real" ;; *) echo "$root/${1#./}" ;; esac
}
tidy() { while read -r file; do rm -f "$(at "$file").hone-new" "$(at "$file").hone-old"; done <"$stage/list"; }
back() {
  set +e
  if grep -q "$unit" "$stage/moved" && [ ! -f "$(at $unit).hone-old" ]; then systemctl disable honed; fi
  while read -r file; do
    path=$(at "$file")
    if [ -f "$path.hone-old" ]; then mv -f "$path.hone-old" "$path"; else rm -f "$path"; fi
  done <"$stage/moved"
  tidy
  settle
} >/dev/null 2>&1
trap back EXIT
# All the room that is needed is taken first: neither moving nor going back needs any.
while read -r file; do
  path=$(at "$file")
  mkdir -p "$(dirname "$path")"
  cp -p "$stage/files/$file" "$path.hone-new"
  chown 0:0 "$path.hone-new" 2>/dev/null || true
  # What an administrator keeps from other users stays kept from them.
  if [ -f "$path" ] && [ ! -x "$path" ]; then
    chown "$(stat -c %u:%g "$path")" "$path.hone-new" 2>/dev/null || true
    chmod "$(stat -c %a "$path")" "$path.hone-new"
  fi
  rm -f "$path.hone-old"
  if [ -f "$path" ]; then
    cp -p "$path" "$path.hone-old"
    case $file in */etc/honed.toml) cp -p "$path" "$stage/before.toml" ;; esac
  fi
  sync "$path.hone-new"
done <"$stage/list"
while read -r file; do
  path=$(at "$file")
  echo "$file" >>"$stage/moved"
  mv -f "$path.hone-new" "$path"
  say "wrote $path"
done <"$stage/list"
settle
# What the service said since its start.
told() {
  run=$(systemctl show honed -p InvocationID --value 2>/dev/null) || run=
  [ -n "$run" ] || return 0
  { journalctl --sync; journalctl -q -o cat "_SYSTEMD_INVOCATION_ID=$run"; } 2>/dev/null || true
}
# What the service goes on without, its page or who hears of it, is no failure, but a person should know.
lacks() { told | sed -n 's/^warning: \(.*; trying again\)$/note: \1/p' || true; }
# Whether a slot that was on trial is in use no more.
given_up() { "$honed" status --json --folder "$state" | grep '"trial":null' | grep -vq "\"active\":\"$1\""; }
config=$(at etc/honed.toml)
# It may hold passwords: the service reads it, other users need not.
if grep -q 'etc/honed.toml$' "$stage/moved" && [ ! -f "$config.hone-old" ] && getent group honed >/dev/null; then
  chgrp honed "$config" && chmod 640 "$config"
fi
if grep -q "$unit" "$stage/moved"; then systemctl enable honed 9>&-; fi

installed=
if [ -d "$stage/update" ]; then
  [ ! -f "$stage/update/honed" ] || set -- "$@" --program "$stage/update/honed"
  # Held back until it is done: a lost connection must not look like a refusal.
  installed=$("$honed" slots install "$stage/update/bundle.hone" --folder "$state" --config "$config" "$@" 2>"$stage/refusal") || {
    sed "s|$stage/update/bundle.hone|the bundle|g" "$stage/refusal" >&2
    exit 1
  }
  say "$installed"
fi
case $installed in
  "slot "*", on trial")
    trap - EXIT
    tidy
    slot=${installed#slot }
    slot=${slot%%:*}
    # A service that does not come up is judged by its slots, not by systemctl.
    systemctl restart honed 9>&- || say "systemctl reports that honed did not start"
    lacks
    [ "$seconds" != 0 ] || exit 0
    code=0
    # Not into the connection, which may be lost meanwhile.
    "$honed" slots wait --folder "$state" --seconds "$seconds" >"$stage/waited" 2>"$stage/refusal" || code=$?
    cat "$stage/waited" || true
    and=
    # With an update that was given up goes the configuration that came with it.
    if [ $code != 0 ] && [ -f "$stage/before.toml" ] && given_up "$slot"; then
      cp -p "$stage/before.toml" "$config.hone-new"
      mv -f "$config.hone-new" "$config"
      systemctl restart honed 9>&- 2>/dev/null || true
      and="; the configuration before is back too"
    fi
    [ ! -s "$stage/refusal" ] || echo "$(cat "$stage/refusal")$and" >&2
    exit $code
    ;;
esac
# No trial judges what was proven before, nor settings alone: the service has to be up, and settings that are new have to
# work, with all their outputs. Otherwise it may go on without one, whose disk may be mounted late.
lost=
if systemctl restart honed 9>&- && systemctl is-active honed >/dev/null; then up=yes; else up=; fi
[ -z "$up" ] || ! grep -q 'etc/honed.toml$' "$stage/moved" || lost=$(told | sed -n 's/^output lost, trying again: //p' | head -n 1)
if [ -z "$up" ] || [ -n "$lost" ]; then
  trap - EXIT
  back
  systemctl restart honed 9>&- || true
  [ -z "$lost" ] || fail "honed cannot start an output with these settings, so those before are back: $lost"
  fail "honed does not start with these settings, so those before are back: journalctl -u honed on the board tells why"
fi
trap - EXIT
tidy
lacks
