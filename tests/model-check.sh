# The protocol of the page states (docs/model) in every interleaving, and that the check can fail: each broken variant is
# refuted. With "full" as its argument, the large configurations too, which take minutes.
. "$(dirname "$0")/lib.sh"
[ -z "${SINTER_CHECK_QUICK:-}" ] || skip "shorter tests were asked for, and the model knows nothing of the build"
for tool in spin cc; do
  command -v $tool >/dev/null || skip "$tool is not installed"
done
model=$(realpath "$srcdir/../docs/model/pages.pml")
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
cd "$work" || fail "no temporary directory"

# explore_model MACROS: builds and runs the verifier. A model with LIVE is searched for cycles; one with a BREAK_ macro,
# where an error is near, breadth first and without the compiler's efforts. What it prints is in `log`.
explore_model() {
  local macro macros=() checks="-DSAFETY" options="" size="-O1" table=24
  for macro in $1; do
    macros+=("-D$macro")
    case $macro in
      LIVE) checks="-DNFAIR=3" options="-a -f" ;;
      BREAK_*) size="-O0" table=20 ;;
    esac
  done
  [ "$checks$size" != "-DSAFETY-O0" ] || checks="-DSAFETY -DBFS"
  rm -f pan* ./*.trail
  spin "-Pcc -E -x c" "${macros[@]}" -a "$model" >log 2>&1 || { cat log; return 1; }
  # shellcheck disable=SC2086
  cc -w $size $checks ${memory:--DMEMLIM=1000} -o pan pan.c >log 2>&1 || { cat log; return 1; }
  # shellcheck disable=SC2086
  within 900 ./pan $options -m1000000 -w$table -n >log 2>&1 || { cat log; return 1; }
}

holds() {
  explore_model "$1" || return 1
  if grep -q "errors: 0" log && ! grep -q "not completed\|depth too small" log; then
    grep "states, stored" log
  else
    cat log
    return 1
  fi
}

# is_refuted MACROS HOW: the verifier must find an error, and of that kind.
is_refuted() {
  explore_model "$1" || return 1
  grep "^pan:1: $2" log || { cat log; return 1; }
}

step "steady state" holds "STEADY"
step "steady state: every touch ends" holds "STEADY LIVE"
step "fork, slots on one page" holds "FORK SLOT=1"
step "fork, slots on two pages" holds "FORK SLOT=2"
step "bare clone" holds "BARE"
if [ -z "${SINTER_CHECK_QUICK:-}" ]; then
  step "fork: every wait ends" holds "FORK LIVE SLOT=1"
fi
lost="assertion violated" stuck="invalid end state" starved="acceptance cycle"
step "refuted: the bits read before the move" is_refuted "STEADY BREAK_BITS" "$lost"
step "refuted: EEXIST taken at its word" is_refuted "STEADY BREAK_EEXIST" "$lost"
step "refuted: no wake after EEXIST" is_refuted "STEADY BREAK_WAKE" "$lost"
step "refuted: no rest after a return" is_refuted "STEADY LIVE BREAK_REST" "$starved"
step "refuted: waits for the maintain lock" is_refuted "FORK BREAK_TRY" "$stuck"
step "refuted: an allocator lock while frozen" is_refuted "FORK BREAK_LOCK_FROZEN" "$stuck"
step "refuted: frozen looked at before the service lock" is_refuted "FORK BREAK_LOOK" "$stuck"
step "refuted: EAGAIN retried on the spot" is_refuted "FORK BREAK_AGAIN" "$stuck"
step "refuted: EAGAIN answered with a wake" is_refuted "FORK LIVE SLOT=1 BREAK_STARVE" "$starved"
step "refuted: entries changed while frozen" is_refuted "FORK BREAK_FROZEN" "$lost"
step "refuted: entries changed while a child is pending" is_refuted "FORK BREAK_PENDING" "$lost"
step "refuted: no push" is_refuted "FORK BREAK_PUSH" "$lost"
step "refuted: no push, bare clone" is_refuted "BARE BREAK_PUSH" "$lost"
step "refuted: the parent does not verify" is_refuted "FORK BREAK_UNVERIFIED" "$lost"
step "refuted: the child does not verify" is_refuted "FORK BREAK_VERIFY" "$lost"
step "refuted: the event read without the service lock" is_refuted "FORK BREAK_READ" "$lost"
step "refuted: a touch between two registrations" is_refuted "FORK BREAK_GAP" "$lost"
if [ "${1:-}" = full ]; then
  memory="-DCOLLAPSE -DMEMLIM=3000"
  step "fork, all slots" holds "FORK"
  step "fork, the tables copied before the arena" holds "FORK TABLES_FIRST"
  step "fork, slots on two pages: every wait ends" holds "FORK LIVE SLOT=2"
  step "bare clone: every wait ends" holds "BARE LIVE"
fi
finish
