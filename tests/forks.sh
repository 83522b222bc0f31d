# Forks of a process whose threads are busy in the allocator.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/forks" 0

forks() { within 120 env SINTER_CONF="$1" LD_PRELOAD="$SINTER_LIB" "$builddir/forks" "${SINTER_CHECK_QUICK:-5}"; }

for conf in "" decay:20,cache_idle:20 decay:0 check:on; do
  step "forks, ${conf:-default}" forks "$conf"
done
finish
