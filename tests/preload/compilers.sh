# gcc and clang compile sources of this project: the objects must be identical, and linking must work.
. "$(dirname "$0")/lib.sh"

sources="abi.c death.c life.c model.c"

cat >"$tmp/compile" <<'SH'
set -e
for source in $3; do $1 -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -frandom-seed=1 -c "$4/$source" -o "${source%.c}.o"; done
$1 -std=gnu11 -D_GNU_SOURCE -O3 -flto -frandom-seed=1 -c "$4/model.c" -o lto.o
$1 -O3 -flto lto.o -o model -pthread
$2 -std=c++17 -O2 -g -fsized-deallocation -c "$4/operators.cc" -o operators.o
sha256sum -- *.o
./model -n 0 >model.out
SH

tried=0
for pair in gcc:g++ clang:clang++; do
  cc=${pair%:*} cxx=${pair#*:}
  if ! command -v $cc $cxx >/dev/null; then
    echo "SKIP: $cc and $cxx are not installed"
    continue
  fi
  tried=1
  takes_library $cc -x c -c -o "$tmp/empty.o" /dev/null
  step $cc both $cc 120 sh "$tmp/compile" $cc $cxx "$sources" "$srcdir"
done
[ $tried = 1 ] || skip "neither gcc nor clang is installed"
finish
