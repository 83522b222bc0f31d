# verify-long.sh SECONDS (default 3600): verify in runs of a minute, each with a new seed, its options and disturbances in
# turn. One line a run goes to verify-long.log in the current directory.
. "$(dirname "$0")/lib.sh"
takes_library "$builddir/verify" -d 0 -n 100

total=${1:-${CHECK_LONG_SECONDS:-3600}}
log=verify-long.log
runs=(
  "|"
  "compact:stress|-c"
  "compact_settle:10,compact_probation:0|-m"
  "compact:stress,compact_inject:10|-n 30000"
  "compact_settle:10,compact_probation:100,compact_cpu:100|-t 3 -c -m -n 300000"
  "compact:stress,compact_around:0|-m -p 1024"
  "compact:stress,compact_inject:100|-t 16 -c"
  "check:on,compact:stress|-n 50000"
  "thp:always,compact_settle:10|-p 2048"
  "compact:stress,compact_around:4,zero_on_free:on|-t 2 -m"
  "compact:stress,cache:off,decay:0|-n 50000"
)
end=$((SECONDS + total)) count=0
: >$log
while [ $SECONDS -lt $end ]; do
  run=${runs[count % ${#runs[@]}]}
  conf=${run%%|*} options=${run#*|}
  seed=$(od -An -N6 -tu8 /dev/urandom | tr -d ' ')
  length=$((end - SECONDS < 60 ? end - SECONDS : 60))
  status=0
  output=$(within $((length + 400)) env SINTER_CONF="$conf" LD_PRELOAD="$SINTER_LIB" \
    "$builddir/verify" -s "$seed" -d "$length" $options 2>&1) || status=$?
  count=$((count + 1))
  if [ $status = 0 ]; then
    line="ok seed=$seed options=\"$options\" conf=${conf:-default} ${output##*verify: }"
  else
    line="FAIL seed=$seed options=\"$options\" conf=${conf:-default} status=$status"
    failures=$((failures + 1))
    echo "$output"
  fi
  echo "$line" | tee -a $log
done
echo "$count runs, $failures failures in $total s" | tee -a $log
finish
