# Misuse: the signal and the message.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/death" --child option-none
within 300 env LD_PRELOAD="$SINTER_LIB" "$builddir/death" "$@"
