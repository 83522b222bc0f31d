# 200 000 guarded blocks in one process.
. "$(dirname "$0")/lib.sh"
needed=$((2 * 1024 * 1024)) # KiB
available=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
[ "${available:-0}" -ge $needed ] || skip "it takes 2 GiB of memory"

# many NUMBER WAY
many() {
  local status=0
  within 300 env LD_PRELOAD="$SINTER_LIB" SINTER_CONF="guard:all,guard_way:$2,guard_file:/dev/null" \
    "$builddir/guard-many" "$1" || status=$?
  [ $status != 77 ] || { echo "SKIP: $2: not on this system"; return 0; }
  return $status
}
[ -n "${SINTER_CHECK_QUICK:-}" ] || step "poison" many 1 poison
step "madvise" many 2 madvise
step "mprotect" many 3 mprotect
finish
