# The random test for long: CHECK_LONG_SECONDS (default 3600) in runs of a minute, each with a new seed, its number of
# threads and its options in turn. One line a run goes to check-long.log in the build directory.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/model" -n 0

total=${CHECK_LONG_SECONDS:-3600}
log=check-long.log
confs=("" check:on randomize:on "" zero_on_free:on cache:off "" decay:0 thp:always
  check:on,zero_on_free:on,randomize:on,decay:0)
threads=(1 4 2 8 1 3 16)
end=$((SECONDS + total)) runs=0
: >$log
while [ $SECONDS -lt $end ]; do
  conf=${confs[runs % ${#confs[@]}]} count=${threads[runs % ${#threads[@]}]}
  seed=$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')
  length=$((end - SECONDS < 60 ? end - SECONDS : 60))
  status=0
  output=$(within $((length + 120)) env SINTER_CONF="$conf" LD_PRELOAD="$SINTER_LIB" \
    "$builddir/model" -s "$seed" -t "$count" -d "$length" 2>&1) || status=$?
  runs=$((runs + 1))
  if [ $status = 0 ]; then
    line="ok seed=$seed threads=$count conf=${conf:-default} ${output##*threads, }"
  else
    line="FAIL seed=$seed threads=$count conf=${conf:-default} status=$status"
    failures=$((failures + 1))
    echo "$output"
  fi
  echo "$line" | tee -a $log
done
echo "$runs runs, $failures failures in $total s" | tee -a $log
finish
