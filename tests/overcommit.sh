# Overcommit mode 2: the kernel counts every writable page as if it were used. The limit is set far above the
# machine's memory, since other processes live under it too; a writable reservation of an arena's size fails anyway.
. "$(dirname "$0")/lib.sh"

mode=/proc/sys/vm/overcommit_memory
ratio=/proc/sys/vm/overcommit_ratio
kbytes=/proc/sys/vm/overcommit_kbytes
[ -z "${SINTER_SANITIZERS:-}" ] || skip "sanitizers don't run under overcommit mode 2, and this changes it for all"
[ "$(id -u)" = 0 ] || skip "not root: can't set $mode"
old_mode=$(<$mode) old_ratio=$(<$ratio) old_kbytes=$(<$kbytes)
{ echo "$old_mode" >$mode; } 2>/dev/null || skip "$mode can't be written here"
restore() {
  echo "$old_mode" >$mode
  if [ "$old_kbytes" = 0 ]; then echo "$old_ratio" >$ratio; else echo "$old_kbytes" >$kbytes; fi
}
trap restore EXIT
trap 'exit 1' INT TERM HUP

free_kib=$(awk '/^MemTotal:/ { total = $2 } /^Committed_AS:/ { used = $2 } END { print total + used }' /proc/meminfo)
echo $((free_kib * 2)) >$kbytes
echo 2 >$mode || skip "$mode does not take 2"
status=0
within 90 env LD_PRELOAD="$SINTER_LIB" "$builddir/life" overcommit || status=$?
within 90 env LD_PRELOAD="$SINTER_LIB" "$builddir/model" -d 2 -t 2 || status=$?
exit $status
