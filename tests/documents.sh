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

# Commands that take a whole machine or much time, and what runs them elsewhere, as it stands here.
elsewhere=(
  "./bootstrap|.ci/run"
  "./bootstrap demo|.ci/run"
  "./bootstrap check|.ci/run"
  "make -C build install|tests/documents.sh"
  "ldconfig|tests/documents.sh"
)

install_all() {
  env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$build" DESTDIR="$work/root" install >"$work/log" 2>&1 && return
  cat "$work/log"
  return 1
}

# The lines of a document's blocks for the shell.
commands() { awk '/^```/ { inside = !inside && $0 == "```sh"; next } inside' "$1"; }

# Without those that are run elsewhere; what is said to run them has to have them.
commands_here() {
  local line entry
  commands "$1" | while IFS= read -r line; do
    for entry in "${elsewhere[@]}"; do
      if [ "${line%%  *#*}" = "${entry%|*}" ]; then
        ! [ -e "$top/${entry#*|}" ] || grep -qF -- "${entry%|*}" "$top/${entry#*|}" || echo "false # not in ${entry#*|}: $line"
        continue 2
      fi
    done
    printf '%s\n' "$line"
  done
}

works() {
  local document=$1 directory
  directory=$work/$(basename "$document" .md)
  mkdir "$directory" && cd "$directory" || return 1
  commands_here "$document" >../script
  [ -s ../script ] || { echo "no commands"; return 1; }
  within 240 bash -e ../script >../log 2>&1 </dev/null && return
  tail -n 40 ../log
  return 1
}

step "make install" install_all
PATH=$(dirname "$(find "$work/root" -name sinter -path '*/bin/*')"):$PATH
LD_LIBRARY_PATH=$(dirname "$(find "$work/root" -name 'libsinter.so' | head -n 1)")
export PATH LD_LIBRARY_PATH
for document in README.md docs/getting-started.md docs/operators.md; do
  step "$document" works "$top/$document"
done
finish
