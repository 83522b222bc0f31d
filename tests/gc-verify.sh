# Short runs of gc-verify under several configurations.
. "$(dirname "$0")/lib.sh"

length=${SINTER_CHECK_QUICK:+2}
verify() {
  local conf=$1
  shift
  within 300 env SINTER_GC_CONF="$conf" "$builddir/gc-verify" -d "${length:-5}" "$@"
}

step "default options, forks" verify "" -t 4 -f
step "every reference checked" verify verify:on -t 3 -f
step "own faults, forks" verify faults:own -t 4 -f
step "own faults, every reference checked, a collection every 2000 allocations" verify faults:own,verify:on,stress:2000 -t 4 -f
step "own faults, everything is slid" verify faults:own,verify:on,whole:100,minimum:0 -t 4
step "a collection every 2000 allocations" verify verify:on,stress:2000 -t 3 -f
step "everything is slid" verify verify:on,whole:100,minimum:0 -t 3
step "threads stand still while objects move" verify verify:on,concurrent:off -t 3 -f
step "nothing moves" verify verify:on,compact:off -t 3
step "most collections are minor" verify verify:on,compact:off,minimum:0 -t 4 -f
step "none is" verify verify:on,generational:off -t 3
finish
