# What is installed is enough for somebody who has nothing else: the program in docs/embedding.md, compiled by the commands
# that stand there, does what stands there; so does one that is linked with the allocator, and one that is preloaded.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/installed.sh"
for tool in make pkg-config readelf "${compiler%% *}"; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT
cd "$work" || fail "no temporary directory"

# As unpacked elsewhere: the library is looked for beside it.
command_run() {
  local sinter
  sinter=$(find "$work/root" -type f -path "*/bin/sinter")
  within 60 env -u LD_LIBRARY_PATH "$sinter" run --stats true 2>&1 | grep "^sinter"
}

# Nothing of where it was built.
foreign() { ! readelf -d "$1"/*.so | grep -E 'R(UN)?PATH'; }

# By gdb's way from a library to its script: below a directory for scripts, the library's own path.
gdb_loads_commands() {
  local scripts
  scripts=$(find "$work/root" -type d -path '*/share/gdb/auto-load')
  mkdir -p "$scripts$work" && ln -s "$scripts" "$scripts$work/root" || return 1
  within 60 gdb -nx -batch -iex "set debuginfod enabled off" -iex "add-auto-load-scripts-directory $scripts" \
    -iex "add-auto-load-safe-path $work" -iex "set exec-wrapper env LD_PRELOAD=$libraries/libsinter.so" \
    -ex run -ex "help sinter heap" --args true >log 2>&1 </dev/null
  grep -q "^Usage: sinter heap" log || { cat log; return 1; }
}

step "make install" install_below "$work/root"
libraries=$(dirname "$(find "$work/root" -name libsinter-gc.so)")
# Where the prefix is the system's, the directories would be left out.
export PKG_CONFIG_PATH=$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/root
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 LD_LIBRARY_PATH=$libraries
step "no search path in what is installed" foreign "$libraries"
step "the program of docs/embedding.md" embedding
step "a program that is linked with libsinter.so" linked
step "a program with libsinter.so preloaded" preloaded
if command -v gdb >/dev/null && gdb -nx -batch -ex 'python import argparse' 2>/dev/null; then
  step "gdb loads its commands with the library" gdb_loads_commands
else
  echo "skipped: gdb is not installed, or has no Python"
fi
step "a program by sinter run" command_run
finish
