# Pages that are packed, in every situation that a program may bring about: each case of pack-*.c in a process of its
# own, under several sets of options. "pack.sh PROGRAM CASE [OPTIONS]" runs one.
. "$(dirname "$0")/lib.sh"

programs="pack-life pack-calls pack-memory pack-fork"

# Freed blocks that stay, and are written and read by the allocator, on pages that come and go.
hardened=quarantine:256k,canary:on,randomize:on,guard_large:on,guard_tail:on

# The case says itself where it hung, after 60 s.
wrapper=()
run() { within 90 "${wrapper[@]}" env SINTER_CONF="$1" LD_PRELOAD="$SINTER_LIB" "$builddir/$2" "$3" >"$output" 2>&1; }

output=$(mktemp "${TMPDIR:-/tmp}/sinter-test.XXXXXX") || exit 99
trap 'rm -f "$output"' EXIT

# attempt OPTIONS PROGRAM CASE: a line for what failed or was skipped.
passed=0 skipped=0
attempt() {
  local status=0
  run "$@" || status=$?
  case $status in
    0) passed=$((passed + 1)) ;;
    77)
      skipped=$((skipped + 1))
      echo "skipped: $2 ${1:-default}: $(sed -n 's/^SKIP: //p' "$output")"
      ;;
    *)
      failures=$((failures + 1))
      echo "FAIL: $2 $3, options ${1:-default} (status $status)"
      cat "$output"
      ;;
  esac
}

# table OPTIONS PROGRAM...: all cases of the programs.
table() {
  local conf=$1 program case begun=$SECONDS
  shift
  passed=0 skipped=0
  for program; do
    for case in $("$builddir/$program" list); do attempt "$conf" "$program" "$case"; done
  done
  echo "${conf:-default}${wrapper[*]:+, by ${wrapper[*]}}: $passed passed, $skipped skipped, $failures failed so far ($((SECONDS - begun)) s)"
}

if [ $# -ge 2 ]; then
  run "${3:-}" "$1" "$2" || failures=1
  cat "$output"
  finish
fi

takes_library "$builddir/pack-life" rounds
attempt compact:off pack-life rounds
attempt compact:off pack-fork fork
[ "$failures" = 0 ] || fail "the tests themselves, with packing off"
run "" pack-life rounds
[ $? != 77 ] || skip "$(sed -n 's/^SKIP: //p' "$output")"

seed=${SINTER_CHECK_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
echo "seed: $seed (SINTER_CHECK_SEED=$seed repeats it)"
if [ -n "${SINTER_CHECK_ALL:-}" ]; then
  for conf in "" compact:stress "compact:stress,compact_inject:10,seed:$seed" compact:off; do table "$conf" $programs; done
elif [ -n "${SINTER_CHECK_QUICK:-}" ]; then
  table "" pack-fork
else
  table "" $programs
  table compact:stress pack-calls pack-memory
  table "compact:stress,compact_inject:10,seed:$seed" pack-life
  for case in rounds free realloc threads; do attempt "compact:stress,$hardened" pack-life $case; done
  for case in fork fork_threads; do attempt "compact:stress,$hardened" pack-fork $case; done
fi

# Without the events of forks everything comes back before each.
if [ -z "${SINTER_CHECK_QUICK:-}" ] && setpriv --bounding-set -sys_ptrace true 2>/dev/null; then
  wrapper=(setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace)
  table "" pack-fork
  table "compact:stress,compact_inject:10,seed:$seed" pack-fork
fi
finish
