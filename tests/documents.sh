# Every shell command of the documents for users works as it stands there: those in blocks that begin with ```sh, in the order
# in which they stand, one shell a document, with Sinter installed in a directory of its own.
. "$(dirname "$0")/lib.sh"
top=$(realpath "$srcdir/..")
build=$(realpath "$builddir/..")
for tool in make python3; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ -z "${SINTER_CHECK_QUICK:-}" ] || skip "shorter tests were asked for"
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT

# Commands that are not run here because they take a whole machine or much time: CI runs them.
elsewhere=("./bootstrap" "./bootstrap demo" "./bootstrap check")
# What is done before, into a directory of its own.
before=("make -C build install" "ldconfig")

install_all() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$build" DESTDIR="$work/root" install >"$work/log" 2>&1 && return
  cat "$work/log"
  return 1
}

# The lines of a document's blocks for the shell.
commands() { awk '/^```/ { inside = !inside && $0 == "```sh"; next } inside' "$1"; }

# Is this one of the others?
among() {
  local command=$1 other
  shift
  for other; do
    [ "$command" = "$other" ] && return
  done
  return 1
}

# Does CI run it, as it stands here? Archives of the source do not have CI's script.
ci_runs() { ! [ -e "$top/.ci/run" ] || grep -qE "^([^#]* )?${1//./\\.}(;|\$)" "$top/.ci/run"; }

# A document's commands, without those that are run elsewhere; one that should be and is not makes the script fail.
commands_here() {
  local line command
  commands "$1" | while IFS= read -r line; do
    command=${line%%  *#*}
    if among "$command" "${elsewhere[@]}"; then
      ci_runs "$command" || echo "echo 'not in .ci/run: $command'; exit 1"
    elif ! among "$command" "${before[@]}"; then
      printf '%s\n' "$line"
    fi
  done
}

# Where pages cannot be packed, `sinter compact' says so and fails; all else works.
forgive_compact() {
  local sinter
  sinter=$(command -v sinter)
  mkdir "$work/bin"
  cat >"$work/bin/sinter" <<END
#!/bin/sh
if [ "\$1" = compact ]; then
  "$sinter" "\$@"
  exit 0
fi
exec "$sinter" "\$@"
END
  chmod +x "$work/bin/sinter"
  PATH=$work/bin:$PATH
}

works() {
  local document=$1 directory
  directory=$work/$(basename "$document" .md)
  mkdir "$directory" && cd "$directory" || return 1
  commands_here "$document" >../commands
  [ -s ../commands ] || { echo "no commands"; return 1; }
  { echo "trap 'kill \$(jobs -p) 2>/dev/null || true' EXIT"; cat ../commands; } >../script
  within 240 bash -e ../script >../log 2>&1 </dev/null && return
  tail -n 40 ../log
  return 1
}

step "make install" install_all
PATH=$(dirname "$(find "$work/root" -name sinter -path '*/bin/*')"):$PATH
LD_LIBRARY_PATH=$(dirname "$(find "$work/root" -name 'libsinter.so' | head -n 1)")
export PATH LD_LIBRARY_PATH
within 60 sinter doctor >"$work/doctor" 2>&1
grep -q '^Packing works here' "$work/doctor" || forgive_compact
for document in README.md docs/getting-started.md docs/operators.md; do
  step "$document" works "$top/$document"
done
finish
