# What a board is and has. $1 is the folder to install below ("" for /), the rest are files of interest.
r=$1; shift
b="$r/usr/local/bin/honed"
echo "machine=$(uname -m)"
echo "bits=$(getconf LONG_BIT 2>/dev/null)"
echo "libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)"
echo "system=$(. /etc/os-release 2>/dev/null; echo "$PRETTY_NAME")"
# What may hold passwords is root's to read.
as=
if [ "$(id -u)" = 0 ]; then echo root=yes; elif sudo -n true 2>/dev/null; then echo root=sudo; as="sudo -n"; else echo root=no; fi
for t in systemctl flock tar sha256sum; do command -v $t >/dev/null || echo "missing=$t"; done
s() { "$b" status --json --folder "$r/var/lib/honed"; }
if [ -x "$b" ]; then
  if j=$(s 2>/dev/null); then echo "status=$j"; else echo "broken=$(s 2>&1 | head -n 1)"; fi
fi
# Without comments: what it says of bundle and slots decides, and few bytes travel.
{ $as cat "$r/etc/honed.toml" 2>/dev/null; echo; } | sed -n '/^[[:space:]]*#/d; /^[[:space:]]*$/d; s/^/config=/p'
echo "service=$(systemctl is-active honed 2>/dev/null)"
# One process for all of them: a small board takes longer to start one than to hash a small file.
for f; do shift; set -- "$@" "$r$f"; done
[ $# = 0 ] || $as sha256sum "$@" 2>/dev/null | while read -r s f; do echo "file=$s ${f#"$r"}"; done
echo end
