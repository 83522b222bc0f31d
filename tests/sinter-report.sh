# `sinter report`: both allocators run the program, what Sinter gives back is seen, servers get their load and are told to
# end; and what goes wrong is said and makes the exit status.
. "$(dirname "$0")/lib.sh"
sinter=$builddir/../tools/sinter
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
cd "$work" || fail "no temporary directory"

# row TITLE COLUMN: a number of the table in `table`.
row() { sed -n "s/^$1  *//p" table | tr -s ' ' | cut -d' ' -f"$2"; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a > 0 && a < b) }'; }

# The C library's allocator keeps what Sinter gives back; of 20 blocks on a page, one is live with near certainty.
gives_back() {
  within 120 "$sinter" report --against system -o memory.svg -- "$builddir/fragment" "$@" >table 2>progress || return 1
  cat table progress
  less "$(row "settled memory" 3)" "$(row "settled memory" 1)" &&
    less "$(row "settled memory" 3)" "$(row "peak memory" 3)" && grep -q '<svg' memory.svg
}
tells_packing() { grep -Eq '^Sinter: [1-9][0-9.]* MiB packed; ([0-9]+ touches|nothing)' table; }

# In this process Sinter packs; where it cannot, the figures say nothing.
can_pack() { SINTER_CONF=compact:stress,stats:on with_sinter "$builddir/fragment" 1 2>&1 | grep -q '^  compactor  *1 '; }

# A server that has to be told to end; a load that fails; a limit.
serves() {
  within 60 "$sinter" report --load 'kill -0 "$PROGRAM_PID" && sleep 0.3' --ready 0.3 --idle 0.5 \
    --against system -- sleep 1000 >table 2>progress || return 1
  less "$(row "time of the load" 1)" 30
}
says() {
  local status=$1 text=$2
  shift 2
  within 60 "$sinter" report --against system "$@" >output 2>&1
  [ $? = "$status" ] && grep -qe "$text" output || { cat output; return 1; }
}
# It has tried to pack by the time at which the load ends.
tells_lack() {
  cat >grow.py <<'END'
import time
strings = [b"x" * (100 + i % 300) for i in range(100_000)]
time.sleep(1000)
END
  cat >load.sh <<END
grep -q libsinter "/proc/\$PROGRAM_PID/maps" || exit 0
until "$sinter" compact "\$PROGRAM_PID" 2>&1 | grep -q 'cannot pack pages'; do sleep 0.1; done
END
  says 0 '^Pages could not be packed: userfaultfd is not allowed' --ready 0.5 --idle 0 --load "sh $work/load.sh" \
    -- "$builddir/filtered" eperm call device -- env PYTHONMALLOC=malloc python3 grow.py
}
repeats_input() {
  seq 100000 >numbers
  within 60 "$sinter" report --rounds 2 --show --against system -- sh -c 'sort -n | tail -n 1' <numbers >table 2>progress &&
    [ "$(grep -cx 100000 table)" = 4 ]
}

if can_pack && command -v gnuplot >/dev/null; then
  step "memory that comes back" gives_back 8
  step "waits for packed pages" tells_packing
  [ -n "${SINTER_CHECK_QUICK:-}" ] || step "memory of a child" gives_back -c 8
fi
if command -v python3 >/dev/null; then
  step "a program that is not allowed to pack" tells_lack
fi
step "a server and its load" serves
step "a load that fails" says 1 "the load ended with status 7" --load 'exit 7' --ready 0.2 --idle 0 -- sleep 1000
step "a time limit" says 0 "peak memory" --for 0.5 -- sleep 1000
step "a program that fails" says 1 "with Sinter, the program ended with status 5" -- sh -c 'sleep 0.3; exit 5'
step "a program that dies" says 1 "died of signal 9" -- sh -c 'sleep 0.3; kill -9 $$'
step "no such program" says 1 "no-such-program: No such file" -- ./no-such-program
step "no such allocator" says 1 "neither a known allocator nor" --against nothing -- true
step "a picture of no known kind" says 64 "ends in .png or .svg" -o picture.gif -- true
step "no number" says 64 "takes a number from 1 to" --rounds 0 -- true
step "no program" says 64 "Usage: sinter report"
step "input is read again" repeats_input
finish
