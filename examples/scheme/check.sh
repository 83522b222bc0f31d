# The interpreter on every heap that it was built for: the tests of the language, the programs, and what both print has to be
# the same everywhere. On the heaps whose objects move, once more with collections all the time. SCHEME_BUILDDIR says where
# the programs scheme-sinter, scheme-libgc, scheme-malloc and scheme-moving are.
set -u
export LC_ALL=C.UTF-8
unset LD_PRELOAD SINTER_CONF SINTER_GC_CONF SCHEME_HEAP_MOVE
srcdir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=${SCHEME_BUILDDIR:-$PWD/examples/scheme}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT

# Sizes for runs that collect all the time.
declare -A small=([ack]=40 [browse]=1 [deriv]=100 [destruct]=2 [earley]=1 [fib]=12 [gcbench]=8 [lru]=1000 [mazefun]=8
  [nqueens]=5 [puzzle]=5 [strings]=1 [tak]=1)

failures=0
# step NAME COMMAND...: runs a command as one line of the report.
step() {
  local name=$1 begun=$SECONDS
  shift
  if "$@"; then
    echo "ok: $name ($((SECONDS - begun)) s)"
  else
    echo "FAIL: $name (status $?)"
    failures=$((failures + 1))
  fi
}

# within SECONDS COMMAND...: runs it; a hang is a failure like any other, with a message of its own.
within() {
  local seconds=$1 status=0
  shift
  timeout --kill-after=5 "$seconds" "$@" || status=$?
  case $status in
    124 | 137) echo "HANG: after $seconds s: $*" >&2 ;;
  esac
  return $status
}

# run_file HEAP FILE [ARGUMENT...]: it has to succeed, and to print what it printed on the heap before.
run_file() {
  local heap=$1 file=$2 expected
  shift 2
  expected=$work/$(basename "$file" .scm)${*:+-$*}
  within 120 "$bin/scheme-$heap" "$file" "$@" >"$work/output" || return
  [ -e "$expected" ] || cp "$work/output" "$expected"
  diff "$expected" "$work/output" >&2
}

run_tests() {
  local heap=$1 file
  for file in control syntax data errors; do
    run_file "$heap" "$srcdir/tests/$file.scm" || return
  done
}

run_programs() {
  local heap=$1 file
  for file in "$srcdir"/programs/*.scm; do
    run_file "$heap" "$file" || { echo "$(basename "$file") has failed" >&2; return 1; }
  done
}

run_small_programs() {
  local heap=$1 file name
  for file in "$srcdir"/programs/*.scm; do
    name=$(basename "$file" .scm)
    run_file "$heap" "$file" "${small[$name]}" || { echo "$name has failed" >&2; return 1; }
  done
}

# expect STATUS OUTPUT COMMAND...: both have to be that; the output with what goes to stderr.
expect() {
  local status=$1 output=$2 got
  shift 2
  got=$(within 60 "$@" 2>&1 </dev/null)
  [ $? = "$status" ] && [ "$got" = "$output" ] || { echo "$*: $got" >&2; return 1; }
}

run_command() {
  local scheme=$bin/scheme-$1
  expect 0 "3" "$scheme" -e '(display (+ 1 2))' &&
    expect 70 "scheme: -e:1: car: expected a pair: 1
    at -e:1" "$scheme" -e '(display (car 1))' &&
    expect 70 "scheme: -e:2: the list that begins here has no end" "$scheme" -e '
(display' &&
    expect 70 "scheme: open-input-file: cannot open the file (No such file or directory): \"/no/such.scm\"" \
      "$scheme" /no/such.scm &&
    expect 70 "scheme: raised and not handled: oops
    at -e:1" "$scheme" -e "(display (raise 'oops))" &&
    expect 64 "scheme: unknown or incomplete option -x; --help tells more" "$scheme" -x &&
    expect 7 "" "$scheme" -e '(exit 7)'
}

# Lines that come from no terminal are not prompted for; an error does not end it.
run_repl() {
  local got
  got=$(printf '(define (f x)\n  (* x 2))\n(f 21)\n(car 5)\n"next"\n' | within 60 "$bin/scheme-$1" 2>/dev/null)
  [ "$got" = $'42\n"next"' ]
}

heaps=0
for heap in malloc libgc sinter moving; do
  [ -x "$bin/scheme-$heap" ] || { echo "not built: scheme-$heap"; continue; }
  heaps=$((heaps + 1))
  step "$heap: the command" run_command "$heap"
  step "$heap: lines" run_repl "$heap"
  step "$heap: language" run_tests "$heap"
  # At their full sizes on the heap that this is about; SINTER_CHECK_ALL=1: on all.
  if [ -n "${SINTER_CHECK_QUICK:-}" ] || { [ "$heap" != sinter ] && [ -z "${SINTER_CHECK_ALL:-}" ]; }; then
    step "$heap: small programs" run_small_programs "$heap"
  else
    step "$heap: programs" run_programs "$heap"
  fi
done
[ $heaps -gt 0 ] || { echo "SKIP: no interpreter in $bin"; exit 77; }

if [ -x "$bin/scheme-sinter" ]; then
  export SINTER_GC_CONF=stress:100,verify:on
  step "sinter, $SINTER_GC_CONF: language" run_tests sinter
  step "sinter, $SINTER_GC_CONF: programs" run_small_programs sinter
  unset SINTER_GC_CONF
fi
if [ -x "$bin/scheme-moving" ]; then
  export SCHEME_HEAP_MOVE=100
  step "moving, everything at each 100th allocation: language" run_tests moving
  step "moving, everything at each 100th allocation: programs" run_small_programs moving
fi

[ $failures = 0 ] || { echo "FAIL: $failures of the above"; exit 1; }
exit 0
