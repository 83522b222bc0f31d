# The gdb commands: each one's output against what the program that is looked at knows, in live processes and core dumps, with
# the library as built and stripped.
. "$(dirname "$0")/lib.sh"
command -v gdb >/dev/null || skip "gdb is not installed"
gdb -nx -batch -ex 'python import argparse' 2>/dev/null || skip "this gdb has no Python"

script=$(realpath "$srcdir/../tools/gdb/sinter-gdb.py")
target=$builddir/gdb-target
work=$(mktemp -d "${TMPDIR:-/tmp}/sinter-test.XXXXXX") || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
takes_library "$target" objects

# look CASE AUTO-RESTORE GDB-ARGUMENT...: tests/gdb-check.py in a gdb that has nothing of the user's. Pages come back by
# themselves when gdb asks for a command: that case begins with commands from outside.
look() {
  local case=$1 auto=$2 status=0
  shift 2
  { [ "$case" = auto ] && printf 'break stop_here\nrun\n'; echo "source $srcdir/gdb-check.py"; } >"$work/commands"
  within 120 env GDB_CASE="$case" GDB_WORK="$work" PYTHONDONTWRITEBYTECODE=1 gdb -nx -q \
    -iex "set debuginfod enabled off" -iex "set startup-with-shell on" -iex "source $script" \
    -iex "set confirm off" -iex "sinter auto-restore $auto" "$@" <"$work/commands" >"$work/log" 2>&1 || status=$?
  case $status in
    0) grep -q "as expected$" "$work/log" && return ;;
    77) sed -n "s/^SKIP: /skipped: $case: /p" "$work/log"; return ;;
  esac
  cat "$work/log"
  return 1
}

# live CASE OPTIONS AUTO-RESTORE LIBRARY [CHECK]
live() { look "${5:-$1}" "$3" -iex "set exec-wrapper env SINTER_CONF=$2 LD_PRELOAD=$4" --args "$target" "$1"; }

core() { look "$1" on "$target" "$2"; }

gdb -nx -batch -ex 'set startup-with-shell on' -ex run --args true >"$work/log" 2>&1
grep -q 'exited normally' "$work/log" || skip "gdb cannot run a program here: $(tail -n 1 "$work/log")"

# Nothing happens beside the program, so that what it has read of its statistics stays true.
quiet=background:off,compact:on
stripped=$work/libsinter.so
cp "$SINTER_LIB" "$stripped" && strip "$stripped" || fail "the library cannot be stripped"

step "objects" live objects $quiet on "$SINTER_LIB"
step "objects, without thread caches" live objects $quiet,cache:off on "$SINTER_LIB"
step "objects, stripped library" live objects $quiet on "$stripped"
step "guarded blocks" live guards $quiet,guard:all on "$SINTER_LIB"
step "packed pages" live packed $quiet off "$SINTER_LIB"
step "packed pages, stripped library" live packed $quiet off "$stripped"
step "packed pages come back by themselves" live packed $quiet on "$SINTER_LIB" auto
step "packed pages, all the time" live packed compact:stress on "$SINTER_LIB" stress
step "leaks" live leaks $quiet off "$SINTER_LIB"
if [ -e "$work/leaks.core" ]; then step "leaks, core dump" core core "$work/leaks.core"; fi

# A core dump that the kernel writes, if it writes one here.
(
  cd "$work" && ulimit -c unlimited &&
    within 60 env SINTER_CONF=$quiet LD_PRELOAD="$SINTER_LIB" "$target" crash
) >/dev/null 2>&1
dump=$(find "$work" -name 'core*' -size +1M | head -n 1)
if [ -n "$dump" ]; then
  step "core dump of a crash" core crash "$dump"
else
  echo "skipped: the core dump of a crash: the kernel writes none here ($(cat /proc/sys/kernel/core_pattern))"
fi
finish
