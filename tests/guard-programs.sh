# Real programs with every allocation guarded: what they print must be what they print without the library, and no report.
. "$(dirname "$0")/preload/lib.sh"
export SINTER_CONF=guard:all # of no effect on the runs without the library

python=/usr/bin/python3

# The library itself must say that it guards; else nothing is tested.
guards() {
  local file=$tmp/statistics
  env SINTER_CONF=guard:all,stats:json LD_PRELOAD="$SINTER_LIB" "$@" >/dev/null 2>"$file"
  grep -q '"guard_way":0' "$file" && skip "nothing can be guarded here"
  grep -Eq '"guards":[1-9]' "$file" || fail "nothing was guarded in: $*"
}
need perl
guards perl -e 'my @a = map { "x" x $_ } 1 .. 100'

cat >"$tmp/work.py" <<'PYTHON'
import hashlib, json, os, threading
results = []
threads = [threading.Thread(target=lambda i=i: results.append(sum(len(str(k)) for k in range(300 * i)))) for i in range(3)]
for t in threads: t.start()
for t in threads: t.join()
print(sorted(results))
words = {f"word{i}": "x" * (i % 300) for i in range(1000)}
print(hashlib.sha256(json.dumps(words).encode()).hexdigest(), flush=True)
pid = os.fork()
if pid == 0:
    print(len(json.dumps(words)), flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
PYTHON

cat >"$tmp/work.pl" <<'PERL'
my %seen; $seen{"word" . $_ * 7919 % 1009}++ for 0 .. 3000;
delete $seen{$_} for grep { /[1-8]$/ } keys %seen;
print join(" ", map { "$_=$seen{$_}" } sort keys %seen), "\n";
print `echo from a child`;
PERL

cat >"$tmp/work.sql" <<'SQL'
create table t (i integer primary key, k integer, text text);
with recursive r(i) as (select 1 union all select i + 1 from r where i < 1000)
  insert into t select i, i * 7919 % 1009, printf('%.*c', i * 31 % 600, 'x') from r;
create index t_k on t (k, text);
delete from t where i % 5 != 0;
select count(*), sum(length(text)), max(k) from t;
pragma integrity_check;
SQL

cat >"$tmp/work.git" <<'SH'
set -e
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=A
export GIT_COMMITTER_EMAIL=a@example.org GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z
git init -q -b main work
cd work
for n in 1 2 3; do
  seq "$n" 999 >file
  git add -A
  git commit -q -m "commit $n"
done
git log -p --stat
git fsck --full --strict 2>&1
SH

cat >"$tmp/work.cc" <<SH
set -e
gcc -std=gnu11 -D_GNU_SOURCE -O1 -g -frandom-seed=1 -c "$srcdir/hook.c" -o hook.o
sha256sum hook.o
SH

# with PROGRAM STEP...: a step, if the program is there.
with() {
  local program=$1
  shift
  if command -v "$program" >/dev/null; then step "$@"; else echo "SKIP: $program is not installed"; fi
}

with $python "python3" both python 120 env PYTHONMALLOC=malloc PYTHONHASHSEED=1 $python "$tmp/work.py"
with perl "perl" both perl 60 perl "$tmp/work.pl"
with sqlite3 "sqlite3" both sqlite 60 sqlite3 -batch :memory: ".read $tmp/work.sql" ".dump"
with git "git" both git 60 sh "$tmp/work.git"
with gcc "gcc" both gcc 120 sh "$tmp/work.cc"
# The tests of these as they are; make check-guard does that with all programs.
[ -n "${SINTER_CHECK_QUICK:-}" ] || bash "$srcdir/guard-all.sh" archives memcached nginx || failures=$((failures + 1))
finish
