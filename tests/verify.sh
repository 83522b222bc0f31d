# A short run of verify under several sets of options; tests/verify-long.sh runs it for hours.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/verify" -d 0 -n 100

length=${SINTER_CHECK_QUICK:+3}
verify() {
  local conf=$1
  shift
  within 300 env SINTER_CONF="$conf" LD_PRELOAD="$SINTER_LIB" "$builddir/verify" -d "${length:-8}" "$@"
}

step "default options" verify "" -n 60000
step "stress" verify compact:stress -n 30000
step "stress, calls that fail" verify compact:stress,compact_inject:10 -n 30000
step "descriptors closed, pages migrated" verify compact_settle:10,compact_probation:10 -n 60000 -c -m
finish
