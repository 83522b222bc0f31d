# `sinter map`: what it says of a heap before and after packing, and that its pictures are pictures.
. "$(dirname "$0")/lib.sh"
sinter=$builddir/../tools/sinter
work=$(mktemp -d) || fail "no temporary directory"
cd "$work" || fail "no temporary directory"

LD_PRELOAD=$SINTER_LIB SINTER_CONF=compact_settle:600s "$builddir/fragment" 60 >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
for ((i = 0; i < 300; i++)); do
  ! "$sinter" stat "$server" >/dev/null 2>&1 || break
  sleep 0.1
done

# pages STATE: how many the text in `map` has of it in the first zone, the last time.
pages() { awk -v state="$1" '$1 == state && $2 == "spans" { n = $3 } END { print n + 0 }' map; }

says_states() {
  within 60 "$sinter" map "$server" >map && cat map || return 1
  [ "$(pages small)" -gt 15000 ] && [ "$(pages packed)" = 0 ]
}
draws_before_and_after() {
  local kind
  within 120 "$sinter" map --compact -o heap.png "$server" && within 60 "$sinter" map -o heap.svg "$server" || return 1
  kind=$(head -c 8 heap.png | od -An -tx1 | tr -d ' \n')
  [ "$kind" = 89504e470d0a1a0a ] && grep -q '<svg' heap.svg
}
is_packed() { within 60 "$sinter" map "$server" >map && [ "$(pages packed)" -gt 15000 ] && [ "$(pages small)" -lt 1000 ]; }
says() {
  local status=$1 text=$2
  shift 2
  within 60 "$sinter" map "$@" >output 2>&1
  [ $? = "$status" ] && grep -qe "$text" output || { cat output; return 1; }
}

step "states of the pages" says_states
if ldd "$sinter" 2>/dev/null | grep -q libcairo; then
  step "pictures, before and after" draws_before_and_after
  step "no picture of that kind" says 64 "ends in .png or .svg" -o heap.gif "$server"
  step "no such directory" says 1 "no-such/heap.png" -o no-such/heap.png "$server"
else
  step "no pictures in this build" says 64 "built without libcairo" -o heap.png "$server"
  within 60 "$sinter" compact "$server"
fi
if [ "$("$sinter" stat "$server" | awk '$1 == "compactor" { print $2 }')" = 1 ]; then
  step "packed pages" is_packed
fi
step "no process" says 64 "Usage: sinter map"
finish
