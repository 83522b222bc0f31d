# The page by which a running process is reached, and the subcommands of `sinter` that use it. Programs are tests/control.c.
. "$(dirname "$0")/lib.sh"

tool=$builddir/../tools/sinter
program=$builddir/control
takes_library "$program" exit
scratch=$(mktemp -d "${TMPDIR:-/tmp}/sinter-test.XXXXXX") || exit 99
running=()
cleanup() {
  for one in "${running[@]}"; do kill -KILL "$one" 2>/dev/null; done
  rm -rf "$scratch"
}
trap cleanup EXIT
trap '' PIPE # a program that has died is told to go on

# Such that the thread soon has nothing to do, or all the time.
quick=decay:10,cache_idle:10,compact_least:1g
packing=compact_settle:10,compact_probation:10
export SINTER_CONF=$quick

directory() { echo "/dev/shm/sinter-${1:-$(id -u)}"; }
space=$(readlink /proc/self/ns/pid | tr -dc 0-9)
file_of() { echo "$(directory)/$space-$1"; }

run() { within 90 env LD_PRELOAD="$SINTER_LIB" "$program" "$@"; }
ask() { within 60 "$tool" "$@"; }

# begin WORD...: starts the program with a pipe for its input; $process is who says "ready".
begin() {
  rm -f "$scratch/in"
  : >"$scratch/out" # the background job does so only once it runs; what the last program said is not this one's
  mkfifo "$scratch/in"
  env LD_PRELOAD="$SINTER_LIB" ${as:-} "$program" "$@" <"$scratch/in" >"$scratch/out" 2>&1 &
  started=$!
  running+=("$started")
  exec 8>"$scratch/in"
  for _ in $(seq 1000); do
    process=$(sed -n 's/^ready //p' "$scratch/out")
    [ -z "$process" ] || return 0
    kill -0 "$started" 2>/dev/null || break
    sleep 0.1
  done
  cat "$scratch/out"
  return 1
}
# end: lets it go on; its status.
end() {
  echo >&8
  exec 8>&-
  wait "$started" || { cat "$scratch/out"; return 1; }
}
# says TEXT COMMAND...: fails, with that on stderr, in one line.
says() {
  local text=$1
  shift
  if "$@" >"$scratch/said" 2>&1; then echo "no failure: $*"; return 1; fi
  grep -qF -- "$text" "$scratch/said" && [ "$(wc -l <"$scratch/said")" = 1 ] || { cat "$scratch/said"; return 1; }
}
figure() { ask stat "$process" | sed -n "s/^  $1 *\([0-9]*\).*/\1/p"; }

# ---- asking, in every state of the thread ----

stat_forms() {
  begin page say wait || return 1
  ask stat "$process" >"$scratch/text" && ask stat --json "$process" >"$scratch/json" || return 1
  ask stat --prometheus "$process" "$$" >"$scratch/metrics" 2>/dev/null && return 1 # the shell does not use it
  grep -q "^sinter .*, process $process\$" "$scratch/text" && grep -q '^  *class ' "$scratch/text" || return 1
  [ "$(grep -c . "$scratch/json")" = 1 ] && grep -q "\"pid\":$process,\"allocated\":[1-9]" "$scratch/json" || return 1
  grep -q '^# TYPE sinter_purged_bytes_total counter$' "$scratch/metrics" &&
    grep -q "^sinter_allocated_bytes{pid=\"$process\",comm=\"control\"} [1-9]" "$scratch/metrics" || return 1
  ask stat --all --json | grep -q "\"pid\":$process," || return 1
  end
}

# What the program writes at its end and what the command prints are the same in form.
same_form() {
  local shape='s/[0-9][0-9]*/N/g; s/  */ /g'
  begin page say wait || return 1
  ask stat "$process" | sed "$shape" | grep -v '^ N N' >"$scratch/asked"
  end || return 1
  SINTER_CONF="$quick,stats:on" run page 2>&1 | sed "$shape" | grep -v '^ N N' >"$scratch/printed"
  diff "$scratch/asked" "$scratch/printed"
}

packs() { # options, state of the thread
  SINTER_CONF=$1 begin page ${2:-} say wait || return 1
  local resident
  if ask compact "$process" >"$scratch/said" 2>&1; then
    [ "$(figure packed)" -gt 1000000 ] || return 1
    resident=$(sed 's/.*: \([0-9]*\).*before, \([0-9]*\).*/\1 \2/' "$scratch/said")
    [ "${resident% *}" -gt "${resident#* }" ] || return 1
    ask restore "$process" || return 1
    [ "$(figure packed)" = 0 ] && [ "$(figure aside)" = 0 ] && [ "$(figure pages_returned)" -gt 200 ] || return 1
    ask compact "$process" >"$scratch/said" && [ "$(figure packed)" -gt 1000000 ] || return 1
  else
    grep -q 'cannot pack' "$scratch/said" && [ "$(figure compactor)" = 2 ] || return 1
  fi
  end
}

no_packing() {
  SINTER_CONF="$quick,compact:off" begin page say wait || return 1
  says "cannot pack pages" ask compact "$process" 2>&1 | grep -v resident
  ask restore "$process" >"$scratch/said" || return 1
  end
}

options() {
  begin page say wait || return 1
  [ "$(ask option "$process" decay)" = decay:10 ] || return 1
  ask option "$process" decay 20 && [ "$(ask option "$process" decay)" = decay:20 ] || return 1
  ask option "$process" | grep -q '^compact_stop:3$' || return 1
  says "no option 'decoy'" ask option "$process" decoy || return 1
  says "at start only" ask option "$process" seed 5 || return 1
  says "bad value 'soon'" ask option "$process" decay soon || return 1
  end
}

# The map counts one by one what the figures say.
pages() { ask map "$process" | awk -v state="$1" '$1 == state { sum += $3 } END { print 4096 * sum }'; }
map_agrees() {
  SINTER_CONF=decay:1000s,cache_idle:10,compact_least:1g begin page large say wait || return 1
  [ "$(pages dirty)" = "$(figure dirty)" ] && [ "$(pages dirty)" -gt 0 ] || return 1
  [ "$(pages large)" = $(($(figure active) - $(figure spans) * 65536)) ] && [ "$(pages large)" -gt 0 ] || return 1
  [ $(($(pages small) + $(pages empty))) = $(($(figure spans) * 65536)) ] && [ "$(pages small)" -gt 0 ] || return 1
  if ask compact "$process" >"$scratch/said" 2>&1; then
    [ "$(pages packed)" = "$(figure packed)" ] && [ "$(pages packed)" -gt 1000000 ] || return 1
  fi
  [ "$(pages dirty)" = 0 ] && [ "$(pages returned)" -gt 0 ] && end
}

map_guarded() {
  SINTER_CONF=$quick,guard:sample=100,guard_cpu:100 begin page say wait || return 1
  [ "$(pages guarded)" -gt 0 ] && [ "$(pages closed)" -gt "$(pages guarded)" ] && end
}

parked() {
  begin page parked say wait || return 1
  [ "$(figure background)" = 0 ] && [ "$(figure allocated)" -gt 1000000 ] || return 1
  [ "$(cat "/proc/$process/task/"*/comm | grep -c '^sinter$')" = 1 ] || return 1
  end
}

woken_by_work() { run page parked more parked more; }

# A process that is stopped has left its figures behind.
stopped() {
  begin page parked say wait || return 1
  kill -STOP "$process"
  ask stat "$process" >"$scratch/said" 2>"$scratch/errors" || return 1
  grep -q 'is stopped' "$scratch/errors" && grep -q '^  allocated  *[1-9]' "$scratch/said" || return 1
  says "is stopped" ask compact --timeout=1 "$process" || return 1
  kill -CONT "$process"
  ask stat "$process" >"$scratch/said" || return 1
  end
}

ends_meanwhile() {
  begin page parked say wait || return 1
  kill -STOP "$process"
  ask compact "$process" >"$scratch/said" 2>&1 &
  local client=$!
  sleep 0.5
  kill -KILL "$process"
  wait "$started" 2>/dev/null
  exec 8>&-
  ! wait "$client" && grep -q 'has ended' "$scratch/said"
}

# ---- who is not reached, and why ----

refusals() {
  says "no such process" ask stat 4194305 || return 1
  says "is not the number of a process" ask stat one || return 1
  says "is not the number of a process" ask stat 0 || return 1
  says "does not use Sinter" ask stat $$ || return 1
  SINTER_CONF="$quick,control:off" begin none say wait || return 1
  [ ! -e "$(file_of "$process")" ] || return 1
  says "control:off" ask stat "$process" || return 1
  end
}

another_layout() {
  begin page say wait || return 1
  printf '\377' | dd of="$(file_of "$process")" bs=1 seek=8 conv=notrunc status=none
  says "does not know" ask stat "$process" || return 1
  end
}

cut_off() {
  begin page ${1:-} say wait more lost more || return 1
  truncate -s 0 "$(file_of "$process")"
  says "cut off" ask stat "$process" && end
}

# ---- the file ----

removed() {
  begin page say wait || return 1
  [ "$(stat -c '%a %u' "$(file_of "$process")")" = "600 $(id -u)" ] || return 1
  [ "$(stat -c '%a %u' "$(directory)")" = "700 $(id -u)" ] || return 1
  end && [ ! -e "$(file_of "$process")" ]
}

left_behind() { # who removes it
  begin page say wait || return 1
  local stale
  stale=$(file_of "$process")
  kill -KILL "$process"
  wait "$started" 2>/dev/null
  exec 8>&-
  [ -e "$stale" ] && "$@" >/dev/null && [ ! -e "$stale" ]
}

replaced() {
  begin page exec page say wait || return 1
  [ "$(figure allocated)" -gt 1000000 ] && end && [ ! -e "$(file_of "$process")" ]
}

no_descriptors() {
  begin page close say wait || return 1
  [ "$(find "/proc/$process/fd" -lname '/dev/shm*' | wc -l)" = 0 ] || return 1
  [ "$(figure allocated)" -gt 1000000 ] && end && [ ! -e "$(file_of "$process")" ]
}

forks() {
  begin page "$@" page say wait || return 1
  [ "$process" != "$started" ] && [ "$(figure allocated)" -gt 1000000 ] || return 1
  process=$started
  [ "$(figure allocated)" -gt 1000000 ] && end
}

filtered() {
  SINTER_CONF=$1 begin page ${2:-} filter say wait || return 1
  [ "$(figure allocated)" -gt 1000000 ] && end && [ ! -e "$(file_of "$process")" ]
}

# ---- as root: other users, other roots ----

user=$((100000 + $$)) # nobody else's
as_user="setpriv --reuid=$user --regid=$user --clear-groups"

other_user() {
  local others
  as=$as_user begin page say wait || return 1
  others=$(directory $user)/$space-$process
  [ -e "$others" ] && [ "$(figure allocated)" -gt 1000000 ] || return 1
  $as_user "$tool" stat "$process" >"$scratch/said" || return 1
  says "belongs to another user" setpriv --reuid=65533 --regid=65533 --clear-groups "$tool" stat "$process" || return 1
  end && [ ! -e "$others" ] && rmdir "$(directory $user)"
}

in_the_way() { # how: a directory of somebody else's, one that is open to others, a link
  local place
  place=$(directory $user)
  rm -rf "$place"
  case $1 in
    others) mkdir -m 700 "$place" ;;
    open) mkdir -m 777 "$place" && chown $user "$place" && chmod 777 "$place" ;;
    link) mkdir -m 700 "$scratch/mine" && chown $user "$scratch/mine" && ln -s "$scratch/mine" "$place" ;;
    file) touch "$place" ;;
  esac
  as=$as_user begin none say wait || return 1
  [ ! -d "$place/." ] || [ "$(find "$place/." -type f | wc -l)" = 0 ] || return 1
  says "has no page" ask stat "$process" && end && rm -rf "$place" "$scratch/mine"
}

other_root() {
  mkdir -p "$scratch/root"
  chmod 755 "$scratch" "$scratch/root"
  begin page "chroot=$scratch/root" say wait || return 1
  [ "$(figure allocated)" -gt 1000000 ] && ask restore "$process" && end
}

other_namespaces() {
  cat >"$scratch/inside" <<END
#!/bin/sh
mount -t tmpfs none /dev/shm && mount -t proc none /proc && exec "\$@"
END
  chmod +x "$scratch/inside"
  as="unshare --mount --pid --fork --kill-child $scratch/inside" begin page say wait || return 1
  [ "$process" = 1 ] || return 1
  process=$(cat "/proc/$started/task/$started/children")
  process=${process%% *}
  [ "$(figure allocated)" -gt 1000000 ] && ask compact "$process" && ask stat --all | grep -q "process $process\$" && end
}

# ---- at full rate ----

stress() { # options
  local seconds=8 answered=0 verifier status=0
  [ -z "${SINTER_CHECK_QUICK:-}" ] || seconds=3
  timeout 120 env SINTER_CONF="$1" LD_PRELOAD="$SINTER_LIB" "$builddir/verify" -d $seconds -n 30000 >"$scratch/verify" 2>&1 &
  verifier=$!
  running+=("$verifier")
  while kill -0 "$verifier" 2>/dev/null; do
    for process in $(pgrep -P "$verifier") $(pgrep -P "$(pgrep -d, -P "$verifier")" 2>/dev/null); do
      "$tool" stat "$process" >/dev/null 2>&1 && answered=$((answered + 1))
      [ $((RANDOM % 8)) != 0 ] || "$tool" compact --timeout=20 "$process" >/dev/null 2>&1
      [ $((RANDOM % 8)) != 0 ] || "$tool" restore --timeout=20 "$process" >/dev/null 2>&1
      "$tool" option "$process" compact_probation "$((RANDOM % 50))" >/dev/null 2>&1
    done
  done
  wait "$verifier" || status=$?
  [ "$status" = 0 ] || { tail -20 "$scratch/verify"; return 1; }
  echo "$answered answers"
  [ "$answered" -gt 0 ]
}

step "forms of the figures" stat_forms
step "the same form as the library's" same_form
step "compact and restore, thread waiting" packs "$quick"
step "compact and restore, thread parked" packs "$quick" parked
step "compact and restore, thread packing" packs "$packing"
step "compact:off" no_packing
step "options" options
step "map" map_agrees
step "map, guarded" map_guarded
step "parked" parked
step "a parked thread is woken by work" woken_by_work
step "a stopped process" stopped
step "a process that ends meanwhile" ends_meanwhile
step "who is not reached" refusals
step "a page of another form" another_layout
step "a file that is cut off" cut_off
step "a file that is cut off, parked" cut_off parked
step "the file, and its removal" removed
step "a file left behind, next process" left_behind run page
step "a file left behind, stat --all" left_behind ask stat --all
step "exec" replaced
step "descriptors closed" no_descriptors
step "fork" forks fork
step "fork, parked" forks parked fork
step "clone, parked" forks parked clone more
step "a filter before the end" filtered "$quick"
step "a filter before the end, parked" filtered "$quick" parked
step "a filter before the end, packing" filtered compact:stress
step "files limited to no size" run fsize none
if [ "$(id -u)" != 0 ]; then
  echo "not as root: nothing about other users"
elif ! $as_user test -x "$program" || ! $as_user test -r "$SINTER_LIB" || ! $as_user test -x "$tool"; then
  echo "other users cannot get here: nothing about them"
else
  step "another user's process" other_user
  for how in others open link file; do step "in the directory's way: $how" in_the_way $how; done
  step "another root directory and user" other_root
  step "other namespaces" other_namespaces
fi
step "requests at full rate" stress "$packing,decay:10"
step "requests at full rate, stress" stress compact:stress
finish
