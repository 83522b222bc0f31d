# usage: interface.sh [record]
# Programs that were compiled with the last release run with these libraries: their interfaces are those on record
# (alloc/sinter.abi, gc/sinter-gc.abi), with additions at most. "record" puts the present ones on record.
. "$(dirname "$0")/lib.sh"
top=$(realpath "$srcdir/..")
libraries=$(realpath "$builddir/../.libs")
for tool in abidw abidiff readelf; do
  command -v "$tool" >/dev/null || skip "$tool is not installed (abigail-tools, binutils)"
done
[ "$(uname -m)" = x86_64 ] || skip "the interfaces on record are those of x86_64"
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT

# interface NAME FILE: what lib$NAME.so offers to those who include its header, without where it was built.
interface() {
  readelf -S "$libraries/lib$1.so" | grep -q debug_info || fail "lib$1.so was built without debugging information (-g)"
  abidw --headers-dir "$top/include" --drop-private-types --exported-interfaces-only \
    --suppressions "$srcdir/interface.suppr" --no-architecture --no-comp-dir-path --no-corpus-path --no-elf-needed --no-parameter-names --no-show-locs --type-id-style hash \
    --out-file "$work/all" "$libraries/lib$1.so" && sed "s|path='[^']*/|path='|" "$work/all" >"$2"
}

# compatible OLD NEW: whether the change from one to the other keeps programs running.
compatible() { abidiff --no-added-syms --suppressions "$srcdir/interface.suppr" "$1" "$2"; }

# The comparison itself: changed EDIT, a sed script that makes an older interface of the allocator's, as it might have been.
changed() {
  sed -E "$1" "$work/sinter.abi" >"$work/older.abi"
  ! cmp -s "$work/sinter.abi" "$work/older.abi" || fail "there is nothing to change by $1"
  compatible "$work/older.abi" "$work/sinter.abi" >"$work/said"
}
accepts() { changed "$1" || { cat "$work/said"; return 1; }; }
# By abidiff's status 4, which is a difference; 1 and 2 are errors of the comparison.
refuses() {
  local status=0
  changed "$1" || status=$?
  ((status & 4)) || { cat "$work/said"; return 1; }
}

comparison() {
  local version="/<function-decl name='sinter_version'/,/<\/function-decl>/" stats="/<class-decl name='sinter_stats'/"
  local size int
  size=$(sed -nE "s/.*<class-decl name='sinter_stats' size-in-bits='([0-9]*)'.*/\1/p" "$work/sinter.abi")
  int=$(sed -nE "s/.*<type-decl name='int'.* id='([^']*)'.*/\1/p" "$work/sinter.abi")
  step "a new function is no break" accepts "/<elf-symbol name='sinter_version'/d; ${version}d"
  step "a new field at the end of the statistics is no break" accepts \
    "/layout-offset-in-bits='$((size - 64))'/,/<\/data-member>/d; ${stats}s/'$size'/'$((size - 64))'/"
  step "a new field before others is one" refuses "/layout-offset-in-bits='64'/,/<\/data-member>/d"
  step "a function that is gone is one" refuses "s/sinter_version/sinter_release/g"
  step "a function of another type is one" refuses "${version}s/<return type-id='[^']*'/<return type-id='$int'/"
  step "another soname is one" refuses "s/soname='[^']*'/soname='libsinter.so.0'/"
}

for name in sinter sinter-gc; do
  interface "$name" "$work/$name.abi" || fail "no interface of lib$name.so"
done
if [ "${1:-}" = record ]; then
  cp "$work/sinter.abi" "$top/alloc/" && cp "$work/sinter-gc.abi" "$top/gc/"
  exit
fi
comparison
step "libsinter.so" compatible "$top/alloc/sinter.abi" "$work/sinter.abi"
step "libsinter-gc.so" compatible "$top/gc/sinter-gc.abi" "$work/sinter-gc.abi"
finish
