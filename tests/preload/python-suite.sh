# Python's own test suite, with malloc in place of Python's allocator for small objects. Modules that fail are run
# again both ways: what passes plain must pass preloaded. "python-suite.sh packed": all modules there are, with every page
# packed all the time, which takes hours; "python-suite.sh MODULE": this module, compared.
. "$(dirname "$0")/lib.sh"

python=/usr/bin/python3 # Debian's, which its testsuite package belongs to
[ -x $python ] || skip "$python is not installed"
$python -c 'import test.test_threading, test.test_subprocess' 2>/dev/null ||
  skip "Python's test suite (Debian: libpython3-testsuite) is not installed"
export PYTHONMALLOC=malloc
takes_library $python -c 'pass'

modules="test_array test_ast test_asyncgen test_bufio test_bytes test_bz2 test_collections test_compile test_configparser
  test_contextlib test_coroutines test_csv test_ctypes test_dataclasses test_decimal test_deque test_dict test_enum
  test_exceptions test_fork1 test_fractions test_functools test_gc test_generators test_hashlib test_heapq test_itertools
  test_json test_list test_long test_lzma test_marshal test_memoryio test_memoryview test_minidom test_mmap test_os
  test_pickle test_posix test_queue test_random test_re test_set test_shutil test_sort test_string test_struct
  test_subprocess test_tarfile test_tempfile test_textwrap test_thread test_threading test_threading_local
  test_threadsignals test_tuple test_typing test_unicode test_weakref test_weakset test_xml_etree test_zipfile test_zlib"
# Of these only some classes: all would take minutes.
process_modules="test_multiprocessing_fork test_multiprocessing_spawn test_concurrent_futures"
if [ -n "${SINTER_CHECK_QUICK:-}" ]; then
  modules="test_bytes test_dict test_fork1 test_gc test_json test_list test_mmap test_subprocess test_threading test_zlib"
  process_modules=test_multiprocessing_fork
fi
process_classes="WithProcessesTestQueue WithProcessesTestSharedMemory WithProcessesTestArray WithProcessesTestHeap
  WithProcessesTestPoolWorkerLifetime WithProcessesTestValue WithThreadsTestPool ProcessPoolForkProcessPoolExecutorTest
  ProcessPoolSpawnProcessPoolExecutorTest ThreadPoolExecutorTest"
matching=
for class in $process_classes; do matching="$matching -m $class"; done

slower=$patience
if [ "${1:-}" = packed ]; then
  export SINTER_CONF=compact:stress,compact_every:50 # of no effect without the library
  slower=20
fi

# regrtest VARIANT SECONDS ARGUMENTS...
regrtest() {
  local variant=$1 seconds=$2
  shift 2
  mkdir -p "$tmp/scratch"
  (cd "$tmp/scratch" &&
    # Virtual machines have a vsock that leads nowhere: its test waits for ever.
    as "$variant" timeout --kill-after=5 $((seconds * slower)) $python -m test --timeout $((90 * slower)) \
      -i 'test.test_socket.ThreadedVSOCKSocketStreamTest.*' "$@") 2>&1
}

# The modules named under "N tests failed:" and the like.
failed_modules() { sed -n '/^[0-9]* tests\{0,1\} failed/,/^[^ ]/p;/run no tests:/q' "$1" | grep -oE '^ +test_.*' | tr ' ' '\n' | grep test_; }

# What passed, one test case a line.
passed() {
  $python - "$1" <<'PYTHON'
import sys, xml.etree.ElementTree as tree
try:
    cases = tree.parse(sys.argv[1]).iter("testcase")
except (OSError, tree.ParseError):
    cases = []
print("\n".join(sorted({c.get("name") for c in cases if c.get("result") == "completed" and len(c) == 0
                        or c.get("status") == "run" and not (c.findall("failure") + c.findall("error"))})))
PYTHON
}

# compare MODULE: every test case that passes plain must pass preloaded, at the first or the second attempt.
compare() {
  local module=$1 attempt options=
  case " $process_modules " in *" $module "*) options=$matching ;; esac
  regrtest plain 150 --junit-xml "$tmp/plain.xml" $options "$module" >"$tmp/plain.log"
  passed "$tmp/plain.xml" >"$tmp/plain.passed"
  for attempt in 1 2; do
    regrtest sinter 150 --junit-xml "$tmp/sinter.xml" $options "$module" >"$tmp/sinter.log"
    passed "$tmp/sinter.xml" >"$tmp/sinter.passed"
    comm -23 "$tmp/plain.passed" "$tmp/sinter.passed" >"$tmp/lost"
    [ -s "$tmp/lost" ] || return 0
  done
  echo "$module: pass only without the library:"
  cat "$tmp/lost"
  tail -n 40 "$tmp/sinter.log"
  return 1
}

run_all() {
  local log=$tmp/$1.log module
  shift
  regrtest sinter 240 -j2 "$@" >"$log" || echo "(status $?)"
  grep -E '^(All )?[0-9]+ tests? (OK|failed)|^Total duration' "$log"
  grep -q '^Total duration' "$log" || { tail -n 40 "$log"; fail "the test runner did not come to its end"; }
  for module in $(failed_modules "$log"); do
    step "$module, which failed preloaded, compared" compare "$module"
  done
}
case ${1:-} in
  packed) run_all everything ;;
  ?*) step "$1" compare "$1" ;;
  *)
    run_all modules $modules
    run_all processes $matching $process_modules
    ;;
esac
finish
