# What guard mode says to memory errors.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/guard-death" --child nothing
within 300 env LD_PRELOAD="$SINTER_LIB" "$builddir/guard-death" "$@" || exit $?

# As JSON, into a file to which each process adds.
command -v python3 >/dev/null || exit 0
file=$(mktemp) || exit 99
trap 'rm -f "$file"' EXIT
for mistake in write-after-free overflow-padding free-stack wrong-size system-call-after-free; do
  env LD_PRELOAD="$SINTER_LIB" SINTER_CONF="guard:all,guard_report:json,guard_file:$file" \
    "$builddir/guard-death" --child $mistake >/dev/null 2>"$file.err"
  [ ! -s "$file.err" ] || fail "$mistake: something on stderr"
done 2>/dev/null
rm -f "$file.err"
python3 - "$file" <<'PYTHON' || fail "the reports in JSON are not as expected"
import json, sys
reports = [json.loads(line) for line in open(sys.argv[1])]
write, padding, stack, size, call = reports
assert write["mistake"] == "use after free" and write["access"] == "write" and not write["found_later"]
assert write["size"] == 64 and write["offset"] == 5 and int(write["address"], 16) == int(write["block"], 16) + 5
assert write["freed"]["thread"] == write["thread"] and write["freed"]["ms_ago"] < 60000
for part in write, write["allocated"], write["freed"]:
    assert part["stack"][0]["module"].endswith("/guard-death") and int(part["stack"][0]["offset"], 16) > 0
assert padding["mistake"] == "heap overflow" and padding["call"] == "free" and padding["found_later"]
assert padding["offset"] == padding["size"] == 13 and "freed" not in padding
assert stack["mistake"] == "invalid free" and "block" not in stack and "not memory of Sinter" in stack["text"]
assert call["mistake"] == "use after free" and call["call"] == "write" and call["address"] == call["block"] and "freed" in call
assert call["system_call"] == {"descriptor": 6, "buffer": call["block"], "length": 64}
assert size["given_size"] == 32 and size["size"] == 64 and size["call"] == "free_sized"
PYTHON
