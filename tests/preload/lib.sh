# What the tests with real programs share: each runs its program plain and preloaded and compares.
. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"

# Options for the program under the library; of no effect without it.
[ -z "${SINTER_TEST_CONF:-}" ] || export SINTER_CONF=$SINTER_TEST_CONF

tmp=$(mktemp -d "${TMPDIR:-/tmp}/sinter-test.XXXXXX") || exit 99
servers=()

cleanup() {
  local pid
  for pid in ${servers[@]+"${servers[@]}"}; do stop "$pid"; done
  rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

need() {
  local program
  for program; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
}

# as VARIANT COMMAND...: VARIANT is plain or sinter.
as() {
  local variant=$1
  shift
  case $variant in
    plain) "$@" ;;
    sinter) with_sinter "$@" ;;
  esac
}

# maps_library PID [LIBRARY]: a running program must have the library.
maps_library() {
  grep -qsF "${2:-$SINTER_LIB}" "/proc/$1/maps" || fail "process $1 runs without the library although preloaded"
}

# await SECONDS COMMAND...: repeats the command until it succeeds.
await() {
  local end=$((SECONDS + $1 * patience))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || fail "waited in vain for: $*"
    sleep 0.05
  done
}

# start VARIANT COMMAND...: a server, in the background; its process is $server, its output is in $tmp/server.log.
start() {
  local variant=$1 preload=()
  shift
  [ "$variant" = plain ] || preload=(LD_PRELOAD="$SINTER_LIB")
  env ${preload[@]+"${preload[@]}"} "$@" >>"$tmp/server.log" 2>&1 &
  server=$!
  servers+=("$server")
  [ "$variant" = plain ] || await 10 grep -qF "$SINTER_LIB" "/proc/$server/maps"
}

# stop PID: ends a server; one that does not want to end within 20 seconds is killed and fails the test.
stop() {
  local pid=$1 n other rest=()
  for other in "${servers[@]}"; do [ "$other" = "$pid" ] || rest+=("$other"); done
  servers=(${rest[@]+"${rest[@]}"})
  kill "$pid" 2>/dev/null
  for ((n = 0; n < 400; n++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  if kill -9 "$pid" 2>/dev/null; then
    echo "HANG: the server did not end within 20 s of SIGTERM"
    failures=$((failures + 1))
  fi
  wait "$pid" 2>/dev/null
}

# Fails with the server's own words.
server_failed() {
  tail -n 20 "$tmp/server.log"
  fail "$*"
}

# same NAME FILE FILE: two results, the plain one first.
same() {
  cmp -s "$2" "$3" && return
  echo "$1: the result differs under the library (< plain, > preloaded):"
  diff "$2" "$3" | head -n 20
  return 1
}

# both NAME SECONDS COMMAND...: output and status of the command must be the same preloaded. Each run has an empty
# directory, of the same name since some programs note it down.
both() {
  local name=$1 seconds=$(($2 * patience)) variant
  shift 2
  for variant in plain sinter; do
    rm -rf "$tmp/run"
    mkdir "$tmp/run"
    (cd "$tmp/run" && as "$variant" timeout --kill-after=5 "$seconds" "$@") >"$tmp/$name.$variant" 2>&1
    echo "status $?" >>"$tmp/$name.$variant"
    if tail -n 1 "$tmp/$name.$variant" | grep -qE '^status (124|137)$'; then
      echo "HANG: $name, $variant: after $seconds s"
      return 1
    fi
    if [ "$variant" = plain ] && ! grep -q '^status 0$' "$tmp/$name.plain"; then
      tail -n 20 "$tmp/$name.plain"
      echo "SKIP: $name fails here without the library too"
      return 0
    fi
  done
  same "$name" "$tmp/$name.plain" "$tmp/$name.sinter"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
