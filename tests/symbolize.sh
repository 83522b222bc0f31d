# `sinter symbolize`: functions and lines of a program in C++ that makes a known mistake, however it was built.
. "$(dirname "$0")/lib.sh"
build=$(realpath "$builddir/..")
sinter=$build/tools/sinter
compiler=$(sed -n 's/^CXX = //p' "$build/Makefile")
source=$(realpath "$srcdir/symbolize-target.cc")
"$sinter" symbolize </dev/null 2>&1 | grep -q "without which" && skip "sinter symbolize is not built in"
for tool in "${compiler%% *}" objcopy strip readelf python3; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 99

# line NUMBER: of the source, the one that is marked so.
line() { grep -n "// $1\$" "$source" | cut -d: -f1; }
at() { echo "at $source:$(line "$1")"; }

# What has to be added to the frames of our program, in order.
{
  echo "pool::touch(char*) $(at 2)"
  echo "inlined in pool::each(char*, int) $(at 3)"
  echo "inlined in pool::Block::use(int) $(at 4)"
  echo "main $(at 8)"
  echo "plain_c $(at 5)"
  echo "main $(at 6)"
  echo "pool::Block::release() $(at 1)"
  echo "main $(at 7)"
} >expected
sed -n '3,$p' expected | sed 's/^inlined in //; s/ at .*//' >expected.names

compile() { $compiler -fno-builtin -O1 "$@" "$source" -o program; }

# report [OPTION]: the report of one run, in ./report.
report() {
  rm -f report
  # In a substitution, so that the shell does not tell of what the program died of.
  : "$(SINTER_CONF="guard:all,guard_file:$work/report$1" LD_PRELOAD=$SINTER_LIB ./program 2>&1)"
  [ -s report ] || skip "there is no report; nothing can be guarded here"
}

# added: the parts that `symbolize` has added to frames of ./program; what calls main is libc's.
added() { sed -nE "s|^    #.* $work/program\+0x[0-9a-f]+: ||p; s/^ +(inlined in )/\1/p" | grep -v '^_start'; }

symbolized() {
  report ""
  "$sinter" symbolize "$@" <report | added >said && diff expected said
}

# Built and reported in one way.
build() {
  compile "$@" || return 1
  symbolized
}

# All but the added parts is as it was.
rest_stays() {
  compile -g && report ""
  "$sinter" symbolize report | sed '/^ *inlined in /d; s/^\(    #.*+0x[0-9a-f]*\): .*/\1/' | cmp - report
}

by_build_id() {
  compile -g -Wl,--build-id || return 1
  local id
  id=$(readelf -n program | sed -n 's/.*Build ID: //p')
  mkdir -p "debug/.build-id/${id:0:2}"
  objcopy --only-keep-debug program "debug/.build-id/${id:0:2}/${id:2}.debug"
  strip program
  symbolized --debug debug
}

by_link() {
  compile -g -Wl,--build-id=none || return 1
  mkdir -p .debug
  objcopy --only-keep-debug program .debug/program.debug
  strip program
  objcopy --add-gnu-debuglink=.debug/program.debug program
  symbolized
}

names_only() {
  compile || return 1
  report ""
  "$sinter" symbolize report | added >said && diff expected.names said
}

# Without any information on the program the report comes out as it is, but for libc's frames.
stripped() {
  rm -r .debug
  compile -s -Wl,--build-id=none || return 1
  report ""
  "$sinter" symbolize report | sed 's/^\(    #.*libc.*+0x[0-9a-f]*\): .*/\1/; /^ *inlined in/d' | cmp - report
}

missing() {
  compile -g && report ""
  mv program elsewhere
  "$sinter" symbolize report 2>said | sed 's/^\(    #.*libc.*+0x[0-9a-f]*\): .*/\1/; /^ *inlined in/d' | cmp - report
  [ "$(grep -c . said)" = 1 ] && grep -qx "sinter symbolize: $work/program: No such file or directory" said
}

json() {
  compile -g && report ",guard_report:json"
  "$sinter" symbolize report >said || return 1
  python3 - report said expected "$work/program" <<'PYTHON'
import json, sys
before, after, expected = json.load(open(sys.argv[1])), json.load(open(sys.argv[2])), open(sys.argv[3]).read().split("\n")
added = []
def text(source):
    return f'{source["function"]} at {source["file"]}:{source["line"]}'
def take(stack):
    for frame in stack:
        if frame.get("module") == sys.argv[4] and frame["function"] != "_start":
            added.append(text(frame))
            added.extend("inlined in " + text(outer) for outer in frame.pop("inlined_in", []))
        for key in "function", "file", "line", "inlined_in":
            frame.pop(key, None)
for part in after, after["allocated"], after["freed"]:
    take(part["stack"])
assert added == expected[:-1], added
assert before == after, "the rest has changed"
PYTHON
}

# What is no report stays byte by byte: no line ends, NUL, almost stacks, almost JSON, text that is not UTF-8.
odd_input() {
  printf '%s\n' "plain" "    #0 0x55 in main" "    #0 0x55 /x+0x" "    #0 0x55 /x0x1" "    #x 0x55 /x+0x1" "{" '{"stack":1}' \
    '{"stack":[{"module":1}]}' '{"a":{"stack":[]}}' '{"b":[1, 2]}' "" >odd
  printf 'a\0b\n\377\n    #0 0x55 /\377+0x1\n{"stack":"\377"}\nno end' >>odd
  "$sinter" symbolize <odd 2>/dev/null | cmp - odd
}

wrong_file() {
  local status=0
  echo text >right
  "$sinter" symbolize nowhere right >out 2>said || status=$?
  [ $status = 1 ] && grep -qx text out && grep -qx "sinter symbolize: nowhere: No such file or directory" said
}

no_room() {
  local status=0
  echo text | "$sinter" symbolize 2>said >/dev/full || status=$?
  [ $status = 1 ] && grep -q "standard output" said
}

step "PIE" build -g -pie -fPIE
step "not PIE" build -g -no-pie -fno-pie
step "DWARF 4" build -gdwarf-4
if command -v clang++ >/dev/null; then
  compiler=clang++ step "by clang, without .debug_aranges" build -g
fi
step "the rest of the report stays" rest_stays
step "debugging information by build ID" by_build_id
step "debugging information by name" by_link
step "a symbol table only" names_only
step "nothing" stripped
step "a missing file" missing
step "JSON" json
step "other input" odd_input
step "a file that is not there" wrong_file
step "output that fails" no_room
finish
