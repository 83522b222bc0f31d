# Random operations against the model, preloaded: fixed seeds for each set of options, then seeds never seen before.
. "$(dirname "$0")/lib.sh"
length=${SINTER_CHECK_QUICK:+1}
length=${length:-2}
takes_library "$builddir/model" -n 0

model() {
  local conf=$1
  shift
  within 120 env SINTER_CONF="$conf" LD_PRELOAD="$SINTER_LIB" "$builddir/model" "$@"
}

for conf in "" check:on zero_on_free:on randomize:on decay:0 cache:off thp:always \
  quarantine:64k,canary:on guard_large:on,guard_tail:on,thp:always \
  check:on,zero_on_free:on,randomize:on,quarantine:1m,canary:on,guard_large:on,guard_tail:on,decay:0; do
  step "${conf:-default}, one thread" model "$conf" -s 1 -d $length
  step "${conf:-default}, four threads" model "$conf" -s 2 -d $length -t 4
done
step "a new seed, one thread" model "" -d $length
step "a new seed, seven threads" model "" -d $length -t 7
step "little memory, many threads" model "" -d $length -t 30 -m 60
finish
