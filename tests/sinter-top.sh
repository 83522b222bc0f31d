# `sinter top`: what it shows of a process that packs, as lines and on a terminal.
. "$(dirname "$0")/lib.sh"
sinter=$builddir/../tools/sinter
work=$(mktemp -d) || fail "no temporary directory"
cd "$work" || fail "no temporary directory"

LD_PRELOAD=$SINTER_LIB "$builddir/fragment" 60 >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

# Until it has grown so far that it can be asked.
for ((i = 0; i < 300; i++)); do
  ! "$sinter" stat "$server" >/dev/null 2>&1 || break
  sleep 0.1
done

# column TITLE: of the last line of `lines`.
column() {
  awk -v title="$1" '$1 == "PID" { for (i = 1; i <= NF; i++) if ($i == title) n = i } $1 ~ /^[0-9]+$/ { value = $n } END { print value }' lines
}

shows_figures() {
  within 60 "$sinter" top -b -n 3 -d 0.2 "$server" >lines && cat lines || return 1
  [ "$(grep -c "^ *$server fragment " lines)" = 3 ] && [ "$(grep -cE '^[0-9]{2}:[0-9]{2}:[0-9]{2}$' lines)" = 3 ] &&
    [[ $(column LIVE) == [789].*M ]] && [[ $(column RESIDENT) == *M ]]
}
finds_processes() {
  within 60 "$sinter" top -b -n 1 >lines && grep -q "^ *$server fragment " lines && ! grep -q " sinter " lines
}
# On a terminal, lines are replaced: the heading has an attribute, and 'q' ends it.
draws() {
  command -v script >/dev/null || return 0
  (sleep 1.5; printf q) | within 60 env TERM=xterm script -qec "'$sinter' top -d 0.3 $server" picture >/dev/null || return 1
  grep -q 'q: end' picture && grep -qa 'resident, up to' picture && grep -qa "fragment" picture
}

says() {
  local status=$1 text=$2
  shift 2
  within 60 "$sinter" top "$@" >output 2>&1
  [ $? = "$status" ] && grep -qe "$text" output || { cat output; return 1; }
}
ends_with_them() {
  within 60 "$sinter" top -b -d 0.1 "$server" >lines &
  local top=$!
  sleep 0.5
  kill "$server"
  wait "$top"
}

step "figures of a process" shows_figures
step "all processes" finds_processes
if ldd "$(realpath "$sinter")" 2>/dev/null | grep -q ncurses; then
  step "on a terminal" draws
fi
step "no Sinter" says 1 "does not use Sinter" -b -n 1 $$
step "no such process" says 1 "no such process" -b -n 1 999999999
step "no number" says 64 "x1" -b -n 1 x1
step "no delay" says 64 "takes 0.1 to 3600 seconds" -d 0
step "ends with the processes" ends_with_them
finish
