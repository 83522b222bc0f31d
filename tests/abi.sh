# The malloc interface and C++'s operators, also under the options that change how memory is handled.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/abi"

abi() { within 120 env SINTER_CONF="$1" LD_PRELOAD="$SINTER_LIB" "$builddir/abi"; }
operators() { within 120 env SINTER_CONF="$1" LD_PRELOAD="$SINTER_LIB" "$builddir/operators"; }

for conf in "" check:on zero_on_free:on randomize:on cache:off decay:0 thp:always; do
  step "abi, ${conf:-default}" abi "$conf"
  step "operators, ${conf:-default}" operators "$conf"
done
finish
