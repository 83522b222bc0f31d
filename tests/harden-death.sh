# What the options that harden ordinary blocks say to mistakes.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/harden-death" --child nothing
within 300 env LD_PRELOAD="$SINTER_LIB" "$builddir/harden-death" "$@"
