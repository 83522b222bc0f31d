# Real programs with every page packed all the time: what they print must be what they print without the library.
. "$(dirname "$0")/preload/lib.sh"
export SINTER_CONF=compact:stress # of no effect on the runs without the library

python=/usr/bin/python3

# The library itself must say that pages were packed; a program in which there are none has tested nothing.
packs() {
  local file=$tmp/statistics
  env SINTER_CONF=compact:stress,stats:json LD_PRELOAD="$SINTER_LIB" "$@" >/dev/null 2>"$file"
  grep -q '"compactor": *2' "$file" && skip "pages cannot be packed here"
  grep -Eq '"pages_packed": *[1-9]' "$file" || fail "nothing was packed in: $*"
}
need perl
packs perl -e 'my @a = map { "x" x ($_ % 500) } 1 .. 100000; undef $_ for grep { rand() < 0.9 } @a; select(undef, undef, undef, 0.3)'

cat >"$tmp/work.py" <<'PYTHON'
import hashlib, json, os, re, sys, threading
def tree(depth): return [tree(depth - 1), "n" * depth, tree(depth - 1)] if depth else None
def count(t): return 1 + count(t[0]) + count(t[2]) + len(t[1]) if t else 0
results = []
threads = [threading.Thread(target=lambda i=i: results.append(count(tree(12 + i)))) for i in range(3)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results))
words = {f"word{i * 7919 % 10007}": "x" * (i % 300) for i in range(60000)}
for i in range(0, 10007):
    if i % 8: words.pop(f"word{i}", None)
print(hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest())
sys.stdout.flush()
for child in range(4):
    pid = os.fork()
    if pid == 0:
        print(child, hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest(), flush=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
print(len(re.sub(r"x{3,}", "y", json.dumps(words))))
PYTHON

python_suite() {
  $python -c 'import test.test_list' 2>/dev/null || { echo "SKIP: Python's test suite is not installed"; return 0; }
  cat >"$tmp/suite" <<SH
PYTHONMALLOC=malloc $python -m unittest -v test.test_list test.test_dict test.test_bytes.BytesTest test.test_deque \
  test.test_heapq test.test_struct test.test_weakset test.test_fork1 test.test_thread 2>&1 |
  sed -E 's/ in [0-9.]+s\$//; s/0x[0-9a-f]+/ADDRESS/g' | grep -E '\.\.\. (ok|FAIL|ERROR|skipped)|^(OK|FAILED|Ran)'
SH
  # Python's collector touches all of its memory again and again, which takes a fault a page.
  SINTER_CONF=compact:stress,compact_every:5 both suite 60 sh "$tmp/suite"
}

cat >"$tmp/work.pl" <<'PERL'
use strict; use warnings;
my @words = map { ("word" . $_ * 7919 % 10007) x ($_ % 9) } 0 .. 60000;
my %seen; $seen{$_}++ for @words;
for my $w (keys %seen) { delete $seen{$w} if $w =~ /[1-8]$/ }
@words = grep { $seen{$_} } @words;
print join(" ", map { "$_=$seen{$_}" } (sort keys %seen)[0 .. 50]), "\n", length join("", sort @words), "\n";
for my $child (1 .. 3) {
  my $pid = open(my $pipe, "-|") // die;
  if (!$pid) { my $n = 0; $n += length for @words, keys %seen; print $n * $child, "\n"; exit }
  print <$pipe>;
}
PERL

cat >"$tmp/work.sql" <<'SQL'
create table t (i integer primary key, k integer, text text);
with recursive r(i) as (select 1 union all select i + 1 from r where i < 20000)
  insert into t select i, i * 7919 % 10007, printf('%.*c', i * 31 % 600, 'abcdefghijklmnopqrstuvwxyz') from r;
create index t_k on t (k, text);
select k, count(*), max(length(text)) from t group by k order by 3 desc, 1 limit 5;
delete from t where i % 5 != 0;
select count(*), sum(length(text)) from t;
pragma integrity_check;
vacuum;
select json_array_length(json_group_array(json_object('i', i, 'text', text))) from t;
SQL

cat >"$tmp/work.git" <<'SH'
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A
export GIT_COMMITTER_EMAIL=a@example.org GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z
git init -q -b main work
cd work
for n in 1 2 3 4 5 6 7 8 9 10; do
  for file in 1 2 3 4 5; do seq "$n$file" "$file" 9999 >"file$file"; done
  git add -A
  git commit -q -m "commit $n"
done
git log -p --stat | sha256sum
git blame -w file3 | sha256sum
git repack -q -a -d -f --depth=50 --window=50 --threads=2
git fsck --full --strict 2>&1
git rev-list --objects --all | sort | sha256sum
SH

cat >"$tmp/work.cc" <<SH
set -e
gcc -std=gnu11 -D_GNU_SOURCE -O2 -g -frandom-seed=1 -c "$srcdir/model.c" -o model.o
sha256sum model.o
gcc -O2 model.o -o model -pthread
./model -n 0 >/dev/null
SH

socket=$tmp/socket
cli() { within 30 redis-cli -s "$socket" "$@"; }

redis_data() {
  awk 'BEGIN {
    for (i = 0; i < 20000; i++) {
      printf "set key:%d %0" i % 300 + 1 "d\r\n", i, i
      if (i % 3 == 0) printf "hset hash:%d field:%d value-%d\r\n", i % 300, i, i * i
      if (i % 4 == 0) printf "rpush list:%d %d\r\n", i % 50, i
      if (i % 5 == 0) printf "zadd sorted %d member:%d\r\n", i * 7919 % 10007, i
    }
    for (i = 0; i < 20000; i++) if (i % 8) printf "del key:%d\r\n", i
  }'
}

redis_run() {
  start "$1" redis-server --port 0 --unixsocket "$socket" --dir "$tmp" --save "" --enable-debug-command yes
  await 20 redis-cli -s "$socket" ping
  redis_data | cli --pipe >/dev/null || server_failed "loading data ended with status $?"
  cli debug digest >"$tmp/digest.$1"
  within 30 redis-benchmark -s "$socket" --dbnum 1 -n 5000 -c 10 -r 5000 -q -t set,get,lpush,hset,zadd,mset \
    >"$tmp/load.log" 2>&1 &
  local load=$!
  cli bgsave >/dev/null
  wait $load || { cat "$tmp/load.log"; server_failed "the load ended with status $?"; }
  await 30 eval 'cli info persistence | grep -q "^rdb_bgsave_in_progress:0"'
  cli info persistence | grep -q '^rdb_last_bgsave_status:ok' || server_failed "the snapshot failed"
  cli debug digest >/dev/null
  cli -n 1 flushdb >/dev/null
  cli debug digest >>"$tmp/digest.$1"
  cli save >/dev/null
  stop "$server"
  rm -f "$tmp/dump.rdb"
}

redis() {
  redis_run plain
  redis_run sinter
  same "digest" "$tmp/digest.plain" "$tmp/digest.sinter"
}

# with PROGRAM STEP...: a step, if the program is there.
with() {
  local program=$1
  shift
  if command -v "$program" >/dev/null; then step "$@"; else echo "SKIP: $program is not installed"; fi
}

with $python "python3" both python 60 env PYTHONMALLOC=malloc PYTHONHASHSEED=1 $python "$tmp/work.py"
[ -n "${SINTER_CHECK_QUICK:-}" ] || with $python "python3, some of its own tests" python_suite
with perl "perl" both perl 60 perl "$tmp/work.pl"
with sqlite3 "sqlite3" both sqlite 60 sqlite3 -batch :memory: ".read $tmp/work.sql" ".dump"
with git "git" both git 60 sh "$tmp/work.git"
with gcc "gcc" both gcc 60 sh "$tmp/work.cc"
with redis-server "redis" redis
finish
