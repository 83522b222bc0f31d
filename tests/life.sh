# The life of a process under the library: each case of life.c in a process of its own.
. "$(dirname "$0")/lib.sh"

life=$builddir/life
hook=$builddir/.libs/hook.so

run() { within 90 env LD_PRELOAD="$SINTER_LIB" "$life" "$@" >/dev/null; }
hooked() { within 90 env LD_PRELOAD="$hook:$SINTER_LIB" "$life" "$@"; }
limited() ( ulimit -v 1000000 && run "$@" )

# Exit handlers and threads may write after main: the output must be there, and the status be that of a normal end.
pthread_exit_case() {
  [ "$(within 90 env LD_PRELOAD="$SINTER_LIB" "$life" pthread_exit)" = "outlived main" ]
}

for case in start destructors handover threads exit fork fork_threads vfork spawn handler close_all limit_inside \
  limit_inside_others limit_inside_mixed; do
  step "$case" run "$case"
done
for case in start hook fork; do
  step "$case, through a preloaded tracer" hooked "$case"
done
step "main ends with pthread_exit" pthread_exit_case
step "ulimit -v 1000000" limited limit_outside
step "ulimit -v 1000000, mixed sizes" limited limit_outside_mixed
step "dlopen and dlclose" run dlopen "$hook"
step "dlopen of the library itself" within 90 "$life" dlopen_library "$SINTER_LIB"

finish
