# What the test scripts share. Automake's environment (tests/tests.am) or the caller sets SINTER_LIB, the library to
# preload, and builddir, where the compiled tests are.
set -u
export LC_ALL=C.UTF-8
unset LD_PRELOAD SINTER_CONF
srcdir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
builddir=${builddir:-$PWD/tests}

fail() { echo "FAIL: $*"; exit 1; }
skip() { echo "SKIP: $*"; exit 77; }

[ -n "${SINTER_LIB:-}" ] || { echo "ERROR: SINTER_LIB must name the library under test"; exit 99; }
[ -e "$SINTER_LIB" ] || { echo "ERROR: SINTER_LIB: no such file: $SINTER_LIB"; exit 99; }
SINTER_LIB=$(realpath "$SINTER_LIB")

patience=${SINTER_TEST_PATIENCE:-1} # all time limits are longer by this factor

# within SECONDS COMMAND...: runs it; a hang is a failure like any other, with a message of its own.
within() {
  local seconds=$(($1 * patience)) status=0
  shift
  timeout --kill-after=5 "$seconds" "$@" || status=$?
  case $status in
    124 | 137) echo "HANG: after $seconds s: $*" >&2 ;;
  esac
  return $status
}

# with_sinter COMMAND...: runs it preloaded.
with_sinter() { env LD_PRELOAD="$SINTER_LIB" "$@"; }

# takes_library COMMAND...: the program, run once for nothing else, must really load the library.
takes_library() {
  within 60 env LD_DEBUG=files LD_PRELOAD="$SINTER_LIB" "$@" </dev/null 2>&1 |
    grep -acF "calling init: $SINTER_LIB" >/dev/null || fail "$1 runs without the library although preloaded"
}

failures=0
# step NAME COMMAND...: runs a command as one line of the report.
step() {
  local name=$1 begun=$SECONDS
  shift
  if "$@"; then
    echo "ok: $name ($((SECONDS - begun)) s)"
  else
    echo "FAIL: $name (status $?)"
    failures=$((failures + 1))
  fi
}
finish() {
  [ "$failures" = 0 ] || fail "$failures of the above"
  exit 0
}
