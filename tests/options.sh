# docs/options.md holds what SINTER_CONF=help:on prints: both come from the one table.
. "$(dirname "$0")/lib.sh"

documented() { sed -n '/^```$/,/^```$/p' "$srcdir/../docs/options.md" | grep -v '^```$'; }
printed() { SINTER_CONF=help:on LD_PRELOAD="$SINTER_LIB" "$builddir/model" -n 0 2>&1 >/dev/null | grep -v '^model'; }

diff <(documented) <(printed) || fail "docs/options.md and SINTER_CONF=help:on differ (< documented, > printed)"
