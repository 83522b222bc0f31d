# Interpreters: ruby, lua, perl, node, python3. Each builds and drops many objects, with threads or children where it
# has them, and prints what it computed.
. "$(dirname "$0")/lib.sh"

cat >"$tmp/work.rb" <<'RUBY'
def tree(depth) = depth == 0 ? nil : [tree(depth - 1), "n" * depth, tree(depth - 1)]
def count(t) = t ? 1 + count(t[0]) + count(t[2]) + t[1].size : 0
puts (1..4).map { |i| Thread.new { (1..3).sum { count(tree(11 + i % 3)) } } }.sum(&:value)
words = (0...100_000).map { |i| "word#{i * 7919 % 10_007}" * (i % 9) }
puts words.tally.size, words.group_by(&:size).transform_values(&:count).sort.first(5).inspect
GC.start
GC.compact if GC.respond_to?(:compact)
puts words.map(&:hash).uniq.size, words.sort.join[1_000_000, 60]
reader, writer = IO.pipe
fork { writer.puts (0...50_000).map { |i| i.to_s * 5 }.join.size; exit! }
writer.close
puts reader.read
Process.wait
puts 20_000.times.map { |i| 3**(i % 700) }.sum.to_s.size
RUBY

cat >"$tmp/work.lua" <<'LUA'
local function tree(depth) return depth > 0 and {tree(depth - 1), ("n"):rep(depth), tree(depth - 1)} or false end
local function count(t) return t and 1 + count(t[1]) + count(t[3]) + #t[2] or 0 end
for i = 1, 6 do print(count(tree(10 + i))) end
local words, seen, n = {}, {}, 0
for i = 0, 199999 do words[#words + 1] = ("word" .. i * 7919 % 10007):rep(i % 9) end
for _, w in ipairs(words) do if not seen[w] then seen[w] = true; n = n + 1 end end
table.sort(words)
local text = table.concat(words, " ")
print(n, #text, text:sub(1000000, 1000060), select(2, text:gsub("word1", "")))
words, seen = nil, nil
collectgarbage()
local routines = {}
for i = 1, 20000 do
  routines[i] = coroutine.wrap(function() local s = "" for k = 1, 10 do s = s .. k * i; coroutine.yield(#s) end end)
end
local total = 0
for _ = 1, 9 do for i = 1, #routines do total = total + routines[i]() end end
print(total)
LUA

cat >"$tmp/work.pl" <<'PERL'
use strict; use warnings;
sub tree { my $d = shift; $d ? [tree($d - 1), "n" x $d, tree($d - 1)] : undef }
sub count { my $t = shift; $t ? 1 + count($t->[0]) + count($t->[2]) + length $t->[1] : 0 }
print count(tree(10 + $_)), "\n" for 1 .. 5;
my @words = map { ("word" . $_ * 7919 % 10007) x ($_ % 9) } 0 .. 149999;
my %seen; $seen{$_}++ for @words;
my $text = join " ", sort @words;
print scalar(keys %seen), " ", length $text, " ", substr($text, 1000000, 60), " ", scalar(() = $text =~ /word1\d*/g), "\n";
$text =~ s/(\d+)/<$1>/g;
print length $text, "\n";
for my $child (1 .. 3) {
  my $pid = open(my $pipe, "-|") // die;
  if (!$pid) { my %h = map { $_ => "x" x ($_ % 300) } 0 .. 20000; print scalar(keys %h) * $child, "\n"; exit }
  print <$pipe>;
}
eval "sub f$_ { return $_ + length('y' x $_) }" for 1 .. 3000;
my $sum = 0; { no strict 'refs'; $sum += &{"f$_"}() for 1 .. 3000; }
print "$sum\n";
PERL

cat >"$tmp/work.js" <<'JS'
const { Worker, isMainThread, parentPort } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib'), child = require('child_process');
function tree(d) { return d ? [tree(d - 1), 'n'.repeat(d), tree(d - 1)] : null; }
function count(t) { return t ? 1 + count(t[0]) + count(t[2]) + t[1].length : 0; }
function work() {
  const words = Array.from({ length: 60000 }, (_, i) => ('word' + i * 7919 % 10007).repeat(i % 9));
  const text = words.sort().join(' ');
  const packed = zlib.gzipSync(text), hash = crypto.createHash('sha256').update(text).digest('hex');
  const buffers = Array.from({ length: 3000 }, (_, i) => Buffer.alloc(i * 17 % 40000, i));
  const total = Buffer.concat(buffers).reduce((a, b) => (a * 31 + b) % 1000003, 7);
  return [count(tree(14)), new Set(words).size, zlib.gunzipSync(packed).length, hash, total].join(' ');
}
if (!isMainThread) parentPort.postMessage(work());
else {
  console.log(work(), child.execFileSync(process.execPath, ['-p', '"x".repeat(100000).length']).toString().trim());
  for (let i = 0; i < 3; i++) new Worker(__filename).on('message', (m) => console.log(m));
}
JS

cat >"$tmp/work.py" <<'PYTHON'
import hashlib, json, multiprocessing, sqlite3, subprocess, sys, threading, zlib

def tree(d): return [tree(d - 1), "n" * d, tree(d - 1)] if d else None
def count(t): return 1 + count(t[0]) + count(t[2]) + len(t[1]) if t else 0
def work(n):
    words = [("word%d" % (i * 7919 % 10007)) * (i % 9) for i in range(60000)]
    text = json.dumps(sorted(words))
    assert json.loads(text) == sorted(words) and zlib.decompress(zlib.compress(text.encode())) == text.encode()
    return count(tree(12 + n % 2)), len(set(words)), hashlib.sha256(text.encode()).hexdigest(), len(str(3 ** 9000))

if __name__ == "__main__":
    results = [None] * 4
    threads = [threading.Thread(target=lambda i=i: results.__setitem__(i, work(i))) for i in range(4)]
    for t in threads: t.start()
    for t in threads: t.join()
    print(results)
    for method in "fork", "spawn":
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(pool.map(work, range(3)))
    print(subprocess.check_output([sys.executable, "-c", "print(len('x' * 10 ** 7))"]))
PYTHON

tried=0
try() {
  local name=$1 program=$2
  shift 2
  if ! command -v "$program" >/dev/null; then
    echo "SKIP: $program is not installed"
    return
  fi
  tried=$((tried + 1))
  step "$name" both "$name" 90 "$program" "$@"
}

python=/usr/bin/python3
[ -x $python ] || python=python3
try ruby ruby "$tmp/work.rb"
try lua lua5.4 "$tmp/work.lua"
try perl perl "$tmp/work.pl"
try node node "$tmp/work.js"
try python $python "$tmp/work.py"
export PYTHONMALLOC=malloc # else Python's own allocator takes the small objects
try python-malloc $python "$tmp/work.py"
[ $tried -gt 0 ] || skip "none of the interpreters is installed"

for program in ruby lua5.4 perl node $python; do
  case $program in
    lua5.4) arguments="-v" ;;
    *) arguments="--version" ;;
  esac
  command -v $program >/dev/null && takes_library $program $arguments
done
finish
