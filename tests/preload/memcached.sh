# memcached: several connections that set, get, append and delete; what they read is compared.
. "$(dirname "$0")/lib.sh"
need memcached python3

cat >"$tmp/load.py" <<'PYTHON'
import hashlib, random, socket, sys, threading

def client(number, path, results):
    rng = random.Random(number)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(30)
    sock.connect(path)
    stream = sock.makefile("rwb")
    seen = hashlib.sha256()

    def ask(line, data=None):
        stream.write(line.encode() + b"\r\n" + (b"" if data is None else data + b"\r\n"))
        stream.flush()
        return stream.readline().strip()

    for i in range(8000):
        key = f"client{number}:{rng.randrange(1500)}"
        action = rng.randrange(10)
        if action < 4:
            data = bytes([i % 256]) * rng.choice((10, 100, 1000, 10000, 60000))
            seen.update(ask(f"set {key} 0 0 {len(data)}", data))
        elif action == 4:
            seen.update(ask(f"delete {key}"))
        elif action == 5:
            seen.update(ask(f"append {key} 0 0 5", b"again"))
        else:
            line = ask(f"get {key}")
            seen.update(line)
            if line != b"END":
                size = int(line.split()[3])
                seen.update(stream.read(size + 2))
                assert stream.readline() == b"END\r\n"
    results[number] = seen.hexdigest()

results = {}
threads = [threading.Thread(target=client, args=(i, sys.argv[1], results)) for i in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for number in range(6):
    print(number, results[number])
PYTHON

for variant in plain sinter; do
  start $variant memcached -u root -s "$tmp/socket" -m 512 -t 4
  await 10 test -S "$tmp/socket"
  within 60 python3 "$tmp/load.py" "$tmp/socket" >"$tmp/result.$variant" || server_failed "$variant: the load failed"
  stop "$server"
  rm -f "$tmp/socket"
done
same memcached "$tmp/result.plain" "$tmp/result.sinter" || failures=1
finish
