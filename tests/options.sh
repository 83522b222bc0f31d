# The documents list the options as SINTER_CONF=help:on prints them; and the file with options for all programs is read.
. "$(dirname "$0")/lib.sh"

if command -v python3 >/dev/null; then
  python3 "$srcdir/../docs/generate-options" "$SINTER_LIB" --check || fail "the documents and the library differ"
fi

# The file, in a mount namespace with a configuration directory of its own; the environment overrides it.
file=$(grep -aoE '/[[:graph:]]*/sinter\.conf' "$SINTER_LIB" | head -n 1)
[ -n "$file" ] || fail "the library names no configuration file"
from_file() {
  within 60 unshare -m bash -ec '
    mount -t tmpfs none "$1"
    printf "# for all\ndecay:3s\nseed:7 # lucky\n" >"$1/sinter.conf"
    SINTER_CONF=help:on,seed:8 LD_PRELOAD=$2 "$3" -n 0' - "$(dirname "$file")" "$SINTER_LIB" "$builddir/model" 2>&1
}
if [ -d "$(dirname "$file")" ] && unshare -m true 2>/dev/null; then
  read_back=$(from_file | grep -E '^  (decay|seed):' | cut -d' ' -f3 | tr '\n' ' ')
  [ "$read_back" = "decay:3000 seed:8 " ] || fail "$file was not read right: $read_back"
fi
