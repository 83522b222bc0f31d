# What is installed is enough for somebody who has nothing else: the program in docs/embedding.md, compiled by the commands
# that stand there, does what stands there; so does one that is linked with the allocator, and one that is preloaded.
. "$(dirname "$0")/lib.sh"
docs=$(realpath "$srcdir/../docs")
build=$(realpath "$builddir/..")
compiler=$(sed -n 's/^CC = //p' "$build/Makefile")
for tool in make pkg-config readelf "${compiler%% *}"; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
cd "$work" || fail "no temporary directory"

# Without what the make that runs the tests tells those below it.
install_all() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$build" DESTDIR="$work/root" install >log 2>&1 && return
  cat log
  return 1
}

# block NUMBER: what stands in that fenced block of docs/embedding.md.
block() {
  awk -v wanted="$1" '/^```/ { inside = !inside; n += inside; next } inside && n == wanted' "$docs/embedding.md"
}

# The commands in the documents say "cc".
cc() { $compiler -Wall -Wextra -Werror "$@"; }
export compiler
export -f cc

embedding() {
  block 1 >example.c
  [ "$(block 2 | grep -c '^cc .*pkg-config')" = 1 ] || return 1
  within 120 bash -ec "$(block 2)" >printed 2>statistics || { cat printed statistics; return 1; }
  diff <(block 3) printed && grep -q "^live " statistics
}

linked() {
  cp "$srcdir/linked.c" program.c
  within 60 bash -ec "$(grep '^cc program.c .*pkg-config' "$srcdir/../README.md")" && within 60 ./a.out
}

preloaded() { within 60 env LD_PRELOAD=libsinter.so.1 SINTER_CONF=stats:on true 2>&1 | grep "^sinter"; }

# Nothing of where it was built.
foreign() { ! readelf -d "$1"/*.so | grep -E 'R(UN)?PATH'; }

step "make install" install_all
libraries=$(dirname "$(find "$work/root" -name libsinter-gc.so)")
# Where the prefix is the system's, the directories would be left out.
export PKG_CONFIG_PATH=$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 LD_LIBRARY_PATH=$libraries
step "no search path in what is installed" foreign "$libraries"
step "the program of docs/embedding.md" embedding
step "a program that is linked with libsinter.so" linked
step "a program with libsinter.so preloaded" preloaded
finish
