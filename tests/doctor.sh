# What `sinter doctor` says is what the libraries do, in each situation: an allocator that is asked to pack, and a runtime heap,
# are run where the doctor was.
. "$(dirname "$0")/lib.sh"
build=$(realpath "$builddir/..")
[ -x "$build/tools/sinter" ] || { echo "ERROR: $build/tools/sinter is not built"; exit 99; }
[ "$(id -u)" = 0 ] || skip "not root: cannot be anybody else"
command -v setpriv >/dev/null || skip "setpriv is not installed"
work=$(mktemp -d) || fail "no temporary directory"
trap 'rm -rf "$work"' EXIT

# Where everybody may read.
mkdir "$work/tools" "$work/.libs" && cp "$build/tools/sinter" "$work/tools" &&
  cp "$build"/.libs/libsinter.so.* "$build"/.libs/libsinter-gc.so.* "$work/.libs" &&
  cp "$builddir/pack-life" "$builddir/filtered" "$builddir/gc-served" "$work" && chmod -R a+rX "$work" || fail "cannot copy"
export LD_LIBRARY_PATH=$work/.libs

nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)

# examine STATUS COMMAND...: the doctor as run by COMMAND ends so.
examine() {
  local status=0 wanted=$1
  shift
  within 120 "$@" "$work/tools/sinter" doctor --json >"$work/json" || status=$?
  is "the doctor's status" "$status" "$wanted" && is "the status in the object" "$(member status)" "$wanted"
}

# look STATUS COMMAND...: the same, and the two libraries bear it out.
look() {
  examine "$@" || return 1
  shift
  allocator "$@" && runtime_heap "$@"
}

# member NAME: what the doctor's object has there.
member() { sed -E "s/.*\"$1\":(\"[^\"]*\"|[a-z0-9]+).*/\1/; s/^\"(.*)\"$/\1/" "$work/json"; }
# state CHECK
state() { sed -E "s/.*\"check\":\"$1\",\"state\":\"([a-z]+)\".*/\1/" "$work/json"; }
is() { [ "$2" = "$3" ] || { echo "$1 is '$2', not '$3'"; cat "$work/json"; return 1; }; }

# A program that has as much packed as can be, then forks; its statistics say whether that was done, or why not.
packs() { SINTER_CONF=stats:json within 120 "$@" "$work/tools/sinter" run "$work/pack-life" unavailable >"$work/run" 2>&1; }

allocator() {
  local lack status=0
  packs "$@" || status=$?
  if grep -q '"compactor":1,' "$work/run"; then
    is "what is said of packing" "$(member packs) $(member packing)" "true Packing works here."
  elif grep -q '"compactor":2,' "$work/run"; then
    lack=$(sed -nE 's/.*"compactor_lack":"([^"]*)".*/\1/p' "$work/run" | head -n 1)
    is "what is said of packing" "$(member packs) $(member packing)" "false Sinter runs as a plain allocator here: $lack."
  else
    is "the status of a program that packs" "$status" 159 && is "what is said of packing" "$(member packs)" false &&
      member packing | grep -qE '^Sinter (must not pack|cannot be used) here' || { cat "$work/run"; return 1; }
  fi
}

runtime_heap() {
  local served status=0
  served=$(within 60 "$@" "$work/gc-served") || status=$?
  case $status$served in
    0all) is "what is said of the runtime heap" "$(member runtime_heap)" "The runtime heap moves objects here." ;;
    0user) member runtime_heap | grep -q 'moves objects here; .* fail with EFAULT' ;;
    0not) member runtime_heap | grep -q "compacts with the program's threads stopped here: " ;;
    159) member runtime_heap | grep -q 'must not be used here' ;;
    *) echo "status $status: $served"; return 1 ;;
  esac || { echo "the runtime heap is served: '$served' (status $status)"; cat "$work/json"; return 1; }
}

as_root() {
  look "$all" env && is moving "$(state move)" ok && is forks "$(state forks)" ok
}
as_nobody() {
  look 2 "${nobody[@]}" && is moving "$(state move)" missing && is device "$(state device)" missing || return 1
  "${nobody[@]}" "$work/tools/sinter" doctor >"$work/text"
  grep -q '^missing  moving pages  *userfaultfd is not allowed for this user' "$work/text" && grep -q ' grant: ' "$work/text" &&
    grep -q '^Sinter runs as a plain allocator here: ' "$work/text"
}
with_capability() { look "$all" "${nobody[@]}" --inh-caps=+sys_ptrace --ambient-caps=+sys_ptrace && is device "$(state device)" note; }
without_capability() { look 1 setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace && is forks "$(state forks)" limited; }

# As a rule of udev would have it: the device belongs to a group, and nobody is in it.
with_device() {
  local minor
  minor=$(sed -n 's/^ *\([0-9]*\) userfaultfd$/\1/p' /proc/misc)
  mknod -m 660 "$work/device" c 10 "$minor" && chgrp 12345 "$work/device" || return 1
  # shellcheck disable=SC2016
  look 1 unshare --mount sh -c 'mount --bind "$0" /dev/userfaultfd && exec "$@"' "$work/device" \
    setpriv --reuid=65534 --regid=65534 --groups=12345 && is device "$(state device)" ok && is forks "$(state forks)" limited
}
filtered() {
  local wanted=$1 check=$2 as=$3
  shift 3
  look "$wanted" "$work/filtered" "$@" -- && is "$check" "$(state "$check")" "$as" && is seccomp "$(state seccomp)" note
}
filtered_nobody() { look 2 "${nobody[@]}" "$work/filtered" eperm call -- && is user_mode "$(state user_mode)" missing; }

# It packs, and gives up before it forks, as the doctor says.
few_descriptors() {
  local as=(prlimit --nofile=40:40 "${nobody[@]}" --inh-caps=+sys_ptrace --ambient-caps=+sys_ptrace)
  examine 1 "${as[@]}" && is descriptors "$(state descriptors)" limited && packs "${as[@]}" &&
    grep -q '"compactor_lack":"out of descriptors' "$work/run" && ! grep -q '"moved_out":0,' "$work/run"
}

# No room for a runtime heap of the usual size.
little_address_space() {
  examine 1 prlimit --as=4294967296 && is "address space" "$(state address_space)" limited && allocator prlimit --as=4294967296
}

# says TEXT: the doctor is asked about the last process until it says that.
says() {
  local i said=$1
  for ((i = 0; i < 200; i++)); do
    status=0
    "$work/tools/sinter" doctor "$!" >"$work/text" 2>&1 || status=$?
    ! grep -qF "$said" "$work/text" || return 0
    sleep 0.1
  done
  echo "not said: $said"
  cat "$work/text"
  return 1
}

# What a process that runs has found itself, whoever asks.
process() {
  local status
  "${nobody[@]}" "$work/tools/sinter" run --compact=stress sleep 600 &
  says 'the process        does not pack: userfaultfd is not allowed' && is "the status" "$status" 2 && grep -q '^note .* its situation  *user 65534, without CAP_SYS_PTRACE' "$work/text"
  local result=$?
  kill "$!" && wait "$!" 2>/dev/null
  "$work/tools/sinter" run --compact=stress sleep 600 &
  says 'the process        packs' && is "the status" "$status" "$all" && grep -q '^ok .* its situation  *as here' "$work/text" || result=1
  kill "$!" && wait "$!" 2>/dev/null
  says "process $!: No such process" && is "the status" "$status" 3 || result=1
  return $result
}

arguments() {
  "$work/tools/sinter" doctor --help | grep -q '^  2  packing is not possible' || return 1
  local status=0
  "$work/tools/sinter" doctor one 2>/dev/null || status=$?
  is "status" "$status" 64 || return 1
  status=0
  "$work/tools/sinter" doctor 1 1 2>/dev/null || status=$?
  is "status" "$status" 64 || return 1
  status=0
  "$work/tools/sinter" doctor >/dev/full 2>/dev/null || status=$?
  is "status where nothing can be written" "$status" 3
}

valid_json() {
  command -v python3 >/dev/null || return 0
  python3 -c 'import json, sys; o = json.load(sys.stdin); assert len(o["checks"]) > 15 and all(c["state"] in ("ok", "note", "limited", "missing") and (c["costs"] or c["state"] in ("ok", "note", "missing")) for c in o["checks"])' <"$work/json"
}

# The status where userfaultfd does all: 0, or 1 where the kernel has known faults or the machine lacks something else.
all=0
"$work/tools/sinter" doctor --json >"$work/json" || all=$?
[ "$(state move)$(state forks)" = okok ] || skip "not even root can do everything here: $(member packing)"
step "as root" as_root
step "one JSON object" valid_json
if [ "$(</proc/sys/vm/unprivileged_userfaultfd)" = 0 ] && ! "${nobody[@]}" test -r /dev/userfaultfd; then
  step "as somebody else" as_nobody
  step "a running process" process
else
  echo "(everybody may use userfaultfd here)"
fi
step "as somebody else with CAP_SYS_PTRACE" with_capability
step "as root without CAP_SYS_PTRACE" without_capability
if unshare --mount mount --bind /dev/null /dev/userfaultfd 2>/dev/null; then
  step "as a member of the device's group" with_device
else
  echo "(no device in a mount namespace of its own)"
fi
step "userfaultfd fails with EPERM" filtered 2 move missing eperm call device
step "userfaultfd fails with ENOSYS" filtered 2 move missing enosys call device
step "userfaultfd kills" filtered 2 move missing kill call device
step "the call fails, the device does not" filtered "$all" call note eperm call
step "the device fails, the call does not" filtered "$all" device note eperm device
step "no descriptor table of one's own" filtered 2 move missing eperm table
step "membarrier fails" filtered 1 membarrier limited enosys barrier
step "membarrier kills" filtered 2 membarrier missing kill barrier
step "no idle threads" filtered 1 idle limited eperm scheduler
step "as somebody else under a filter" filtered_nobody
step "few descriptors" few_descriptors
step "little address space" little_address_space
step "arguments" arguments
finish
