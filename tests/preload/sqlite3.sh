# sqlite3: tables, indices, a window query, full text search, a vacuum; on disk and in memory.
. "$(dirname "$0")/lib.sh"
need sqlite3
takes_library sqlite3 :memory: 'select 1'

cat >"$tmp/script.sql" <<'SQL'
pragma journal_mode = off;
pragma cache_size = -20000;
create table t (i integer primary key, k integer, text text);
with recursive r(i) as (select 1 union all select i + 1 from r where i < 40000)
  insert into t select i, i * 7919 % 10007, printf('%.*c', i * 31 % 600, 'abcdefghijklmnopqrstuvwxyz') from r;
create index t_k on t (k, text);
select count(*), sum(length(text)) from t;
select k, count(*), max(length(text)) from t group by k order by 3 desc, 1 limit 5;
select sum(x) from (select sum(length(text)) over (partition by k % 50 order by i) as x from t);
select length(group_concat(text)), length(group_concat(k, '-')) from t;
select count(*) from t a join t b on a.k = b.i where a.text < b.text;
create table words as select i, printf('word%d other%d third%d', i % 997, i % 31, i % 7) as body from t;
create virtual table search using fts4 (body);
insert into search select body from words;
select count(*) from search where search match 'word5 third3';
update t set text = text || k where i % 3 = 0;
delete from t where i % 5 = 0;
vacuum;
pragma integrity_check;
select count(*), sum(length(text)) from t;
select json_array_length(json_group_array(json_object('i', i, 'text', text))) from t;
SQL

step "on disk" both disk 60 sqlite3 -batch database ".read $tmp/script.sql" ".dump"
step "in memory" both memory 60 sqlite3 -batch :memory: ".read $tmp/script.sql"
finish
