# Every test with real programs, each with every allocation guarded. It takes many minutes and some GiB of memory: make check-guard.
# Arguments: names of tests in tests/preload, without .sh.
. "$(dirname "$0")/preload/lib.sh"
export SINTER_TEST_CONF=guard:all${GUARD_CONF:+,$GUARD_CONF}
export SINTER_TEST_PATIENCE=${SINTER_TEST_PATIENCE:-20}

need perl
SINTER_CONF=$SINTER_TEST_CONF,stats:json with_sinter perl -e 'my @a = map { "x" x $_ } 1 .. 100' 2>"$tmp/statistics"
grep -q '"guard_way":0' "$tmp/statistics" && skip "nothing can be guarded here"
grep -Eq '"guards":[1-9]' "$tmp/statistics" || fail "nothing was guarded"

# A test that is skipped is none that has failed.
run() {
  local status=0
  bash "$srcdir/preload/$1.sh" || status=$?
  [ $status = 77 ] || return $status
}

[ $# -gt 0 ] || set -- archives compilers git languages memcached nginx postgresql redis sqlite3 stress-ng python-suite
for name; do
  step "$name, every allocation guarded" run "$name"
done
finish
