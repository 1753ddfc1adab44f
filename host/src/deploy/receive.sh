# Takes the files of a deploy from standard input and applies them as root. The arguments are apply.sh's.
set -eu
umask 022
stage=$(mktemp -d "$1/var/tmp/hone.XXXXXX" 2>/dev/null || mktemp -d /tmp/hone.XXXXXX)
trap 'rm -rf "$stage"' EXIT
trap 'exit 1' HUP INT TERM PIPE
tar -xf - -C "$stage" || { echo "error: the files could not be written on the board; is its disk full?" >&2; exit 1; }
[ -f "$stage/whole" ] || { echo "error: the connection was lost before all files were there" >&2; exit 1; }
if [ "$(id -u)" = 0 ]; then sh "$stage/apply.sh" "$stage" "$@"; else sudo -n sh "$stage/apply.sh" "$stage" "$@"; fi
