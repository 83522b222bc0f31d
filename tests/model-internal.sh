# Random operations on the allocator linked into the program under names of its own, with sanitizers if configured.
. "$(dirname "$0")/lib.sh"

# ThreadSanitizer knows only threads that libc made, which the background thread is not.
case ${SINTER_SANITIZERS:-} in
  *thread*) always=background:off, ;;
  *) always= ;;
esac

model() {
  local conf=$1
  shift
  within 120 env SINTER_CONF="$always$conf" "$builddir/model-internal" "$@"
}

for conf in "" check:on cache:off randomize:on,zero_on_free:on,decay:0; do
  step "${conf:-default}, one thread" model "$conf" -s 1 -d 3
  step "${conf:-default}, four threads" model "$conf" -s 2 -d 3 -t 4
done
finish
