# redis: a data set by digest, load, a snapshot in a forked child under load, a restart from it.
. "$(dirname "$0")/lib.sh"
need redis-server redis-cli redis-benchmark

socket=$tmp/socket
cli() { within 60 redis-cli -s "$socket" "$@"; }
digest() { cli debug digest; }
saved() { cli info persistence | grep -q '^rdb_bgsave_in_progress:0'; }

serve() {
  start "$1" redis-server --port 0 --unixsocket "$socket" --dir "$tmp" --save "" --enable-debug-command yes
  await 20 redis-cli -s "$socket" ping
}

data() {
  awk 'BEGIN {
    for (i = 0; i < 30000; i++) {
      size = i % 7 ? i % 200 : i * 37 % 5000
      printf "set key:%d %0" size + 1 "d\r\n", i, i
      if (i % 3 == 0) printf "hset hash:%d field:%d value-%d\r\n", i % 500, i, i * i
      if (i % 4 == 0) printf "rpush list:%d %d\r\n", i % 50, i
      if (i % 5 == 0) printf "zadd sorted %d member:%d\r\n", i * 7919 % 10007, i
      if (i % 6 == 0) printf "sadd set:%d %d\r\n", i % 9, i
      if (i % 2 == 0) printf "append key:%d %0" i % 900 + 1 "d\r\n", i / 2, i
    }
    for (i = 0; i < 30000; i += 3) printf "del key:%d\r\n", i
    for (i = 0; i < 30000; i += 5) printf "zrem sorted member:%d\r\n", i * 2
  }'
}

run() {
  local variant=$1 before load
  serve "$variant"
  data | cli --pipe >/dev/null || server_failed "loading data ended with status $?"
  before=$(digest)
  echo "$before" >"$tmp/digest.$variant"

  within 60 redis-benchmark -s "$socket" --dbnum 1 -n 20000 -c 20 -P 4 -r 10000 -q \
    -t set,get,incr,lpush,rpop,sadd,hset,spop,zadd,lrange_100,mset >"$tmp/load.$variant" 2>&1 &
  load=$!
  sleep 0.3
  cli bgsave >/dev/null
  await 60 saved
  cli info persistence | grep -q '^rdb_last_bgsave_status:ok' || server_failed "BGSAVE failed"
  wait $load || { cat "$tmp/load.$variant"; server_failed "redis-benchmark ended with status $?"; }

  cli -n 1 flushdb >/dev/null
  [ "$(digest)" = "$before" ] || server_failed "$variant: the data changed under load"
  cli save >/dev/null
  stop "$server"
  serve "$variant"
  [ "$(digest)" = "$before" ] || server_failed "$variant: the data differs after a restart"
  stop "$server"
  rm -f "$tmp/dump.rdb"
}

run plain
run sinter
same "DEBUG DIGEST" "$tmp/digest.plain" "$tmp/digest.sinter" || failures=1
finish
