# What the tests of an installed library share: the programs and commands that the documents show, as a reader would use them.
# Sourced after lib.sh; the current directory is a scratch one, and pkg-config finds the installation.
docs=$(realpath "$srcdir/../docs")
build=$(realpath "$builddir/..")
compiler=$(sed -n 's/^CC = //p' "$build/Makefile")
version=$(sed -n "s/^PACKAGE_VERSION = //p" "$build/Makefile")

# install_below DIRECTORY: make install, without what the make that runs the tests tells those below it.
install_below() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$build" DESTDIR="$1" install >log 2>&1 && return
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
  within 60 bash -ec "$(grep '^ *cc program.c .*pkg-config' "$srcdir/../README.md")" && within 60 ./a.out
}

preloaded() { within 60 env LD_PRELOAD=libsinter.so.1 SINTER_CONF=stats:on true 2>&1 | grep "^sinter"; }

# cmake_project OPTION...: both programs again, as targets of a project that finds the installation.
cmake_project() {
  rm -rf project && mkdir project || return 1
  cp "$srcdir/linked.c" project/program.c
  block 1 >project/example.c
  cat >project/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.16)
project(user C)
find_package(sinter $version REQUIRED COMPONENTS sinter gc)
add_executable(program program.c)
target_link_libraries(program PRIVATE Sinter::sinter)
add_executable(example example.c)
target_link_libraries(example PRIVATE Sinter::gc)
END
  within 120 cmake -S project -B project/build "$@" >cmake.log 2>&1 || { cat cmake.log; return 1; }
  within 120 cmake --build project/build >cmake.log 2>&1 || { cat cmake.log; return 1; }
  within 60 project/build/program && diff <(block 3) <(within 120 project/build/example 2>/dev/null)
}
