# A program's own handlers of SIGSEGV and SIGBUS do under guard mode what they do without the library.
. "$(dirname "$0")/lib.sh"
tmp=$(mktemp -d) || exit 99
trap 'rm -rf "$tmp"' EXIT
within 100 "$builddir/guard-signals" >"$tmp/plain" 2>&1 || fail "does not work without the library"

# like_plain CONF: the same, and nothing on stderr, with these options.
like_plain() {
  within 100 env SINTER_CONF="$1" LD_PRELOAD="$SINTER_LIB" "$builddir/guard-signals" >"$tmp/guarded" 2>&1
  diff "$tmp/plain" "$tmp/guarded"
}
step "guard mode off" like_plain guard:off
for way in poison madvise mprotect; do
  step "$way" like_plain "guard:all,guard_way:$way"
done
finish
