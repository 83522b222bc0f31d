# PostgreSQL: initdb, queries whose answers are compared, pgbench and its balance. "postgresql.sh packed": with every page
# packed all the time, in the server and its clients.
. "$(dirname "$0")/lib.sh"

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "$bin/initdb" ] || skip "PostgreSQL is not installed"
[ -x "$bin/pgbench" ] || skip "pgbench is not installed"
user=()
if [ "$(id -u)" = 0 ]; then # the server refuses to run as root
  need runuser
  id postgres >/dev/null 2>&1 || skip "no user postgres"
  chown postgres "$tmp"
  chmod 711 "$tmp"
  user=(runuser -u postgres --)
fi
patience=90
if [ "${1:-}" = packed ]; then
  export SINTER_CONF=compact:stress,compact_every:10,stats:json # of no effect without the library
  patience=900
  [ "$(id -u)" = 0 ] || skip "only root can give the server the capability that packing takes"
  user=(setpriv --reuid postgres --regid postgres --init-groups --inh-caps +sys_ptrace --ambient-caps +sys_ptrace --)
fi
# A copy that the other user can read wherever the build is.
cp "$SINTER_LIB" "$tmp/library.so"
chmod 755 "$tmp/library.so"

cat >"$tmp/queries.sql" <<'SQL'
create table t as select i, i * 7919 % 10007 as k, repeat(md5(i::text), i % 40) as text from generate_series(1, 60000) i;
create index on t (k);
create index on t using gin (to_tsvector('simple', left(text, 32)));
analyze t;
select count(*), sum(length(text)), md5(string_agg(k::text, ',' order by i)) from t;
set work_mem = '64kB';
select md5(string_agg(x::text, ',')) from (select text as x from t order by text, i) s;
set work_mem = '64MB';
select k % 100 as g, count(*), max(length(text)) from t group by 1 order by 1 limit 10;
select count(*) from t a join t b on a.k = b.i where a.i < 20000;
with recursive r(n, s) as (select 1, 'x' union all select n + 1, s || n from r where n < 500) select max(length(s)) from r;
select md5(jsonb_agg(jsonb_build_object('k', k, 't', left(text, 50)) order by i)::text) from t where i < 5000;
update t set text = text || k where i % 3 = 0;
delete from t where i % 5 = 0;
vacuum full t;
select count(*), sum(length(text)) from t;
do $$ begin for i in 1..3000 loop perform i::text || repeat('y', i); end loop; end $$;
SQL
chmod 644 "$tmp/queries.sql"

run() {
  local variant=$1 data=$tmp/data.$1 as_user=(${user[@]+"${user[@]}"} env PGHOST="$tmp")
  [ "$variant" = plain ] || as_user+=(LD_PRELOAD="$tmp/library.so")
  server_ctl() { within "$patience" "${as_user[@]}" "$bin/pg_ctl" -D "$data" -s -w "$@" 2>>"$tmp/ctl.log"; }
  client() { within "$patience" "${as_user[@]}" "$@"; }
  client "$bin/initdb" -D "$data" --no-sync --locale=C -E UTF8 -A trust -U postgres >"$tmp/log" 2>&1 ||
    { tail "$tmp/log"; fail "$variant: initdb"; }
  server_ctl -l "$data/log" -o "-k $tmp -c listen_addresses='' -c fsync=off" start ||
    { tail "$data/log"; fail "$variant: the server does not start"; }
  postmaster=$(head -n 1 "$data/postmaster.pid")
  servers+=("$postmaster")
  [ "$variant" = plain ] || maps_library "$postmaster" "$tmp/library.so"

  client "$bin/psql" -X -q -A -t -U postgres -v ON_ERROR_STOP=1 -f "$tmp/queries.sql" >"$tmp/result.$variant" 2>&1
  echo "queries: status $?" >>"$tmp/result.$variant"
  client "$bin/pgbench" -i -q -s 2 -U postgres >"$tmp/log" 2>&1 || { tail "$tmp/log"; fail "$variant: pgbench -i"; }
  client "$bin/pgbench" -n -c 4 -j 2 -t 300 -U postgres --random-seed=1 >"$tmp/log" 2>&1 ||
    { tail "$tmp/log"; fail "$variant: pgbench"; }
  client "$bin/pgbench" -n -S -C -c 2 -t 40 -U postgres >"$tmp/log" 2>&1 || { tail "$tmp/log"; fail "$variant: pgbench -C"; }
  client "$bin/psql" -X -q -A -t -U postgres -c "select count(*), sum(delta) - (select sum(abalance) from pgbench_accounts),
    sum(delta) - (select sum(bbalance) from pgbench_branches) from pgbench_history" >>"$tmp/result.$variant" 2>&1
  sed -i '/^{"version/d' "$tmp/result.$variant" # the clients' statistics
  server_ctl -m fast stop || fail "$variant: the server does not stop"
  servers=()
}

run plain
run sinter
grep -q '^1200|0|0$' "$tmp/result.plain" || { cat "$tmp/result.plain"; skip "PostgreSQL fails here without the library too"; }
if [ "${1:-}" = packed ]; then
  processes=$(grep -cE '"pages_packed": *[1-9]' "$tmp/data.sinter/log")
  echo "$processes processes of the server packed pages"
  [ "$processes" -gt 50 ] || fail "the server packed next to nothing"
fi
same PostgreSQL "$tmp/result.plain" "$tmp/result.sinter" || failures=1
finish
