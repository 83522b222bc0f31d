# What guard mode says to memory errors.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/guard-death" --child nothing
within 300 env LD_PRELOAD="$SINTER_LIB" "$builddir/guard-death" "$@"
