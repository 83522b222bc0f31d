# nginx: plain, compressed and assembled (SSI) pages, then a load generator.
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
need nginx python3

mkdir -p "$tmp/html" "$tmp/logs"
seq 1 20000 >"$tmp/html/numbers.txt"
head -c 3000000 /dev/zero | tr '\0' 'x' >"$tmp/html/large.txt"
echo '<p><!--#include virtual="/numbers.txt" --></p><!--#echo var="REQUEST_URI" -->' >"$tmp/html/page.shtml"

cat >"$tmp/load.py" <<'PYTHON'
import hashlib, http.client, sys, threading, zlib

def fetch(connection, path, encoding):
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    response = connection.getresponse()
    body = response.read()
    if response.getheader("Content-Encoding") == "gzip":
        body = zlib.decompress(body, 31)
    return f"{response.status} {len(body)} {hashlib.sha256(body).hexdigest()}"

def client(seen):
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=30)
    for i in range(60):
        for path in "/numbers.txt", "/large.txt", "/page.shtml", "/missing", "/numbers.txt?" + "q" * 5000:
            if i % 10 and "large" in path:
                continue
            for encoding in "identity", "gzip":
                seen.add(f"{path[:20]} {encoding} {fetch(connection, path, encoding)}")

seen = set()
threads = [threading.Thread(target=client, args=(seen,)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(sorted(seen)))
PYTHON

for variant in plain sinter; do
  port=$(free_port)
  cat >"$tmp/nginx.conf" <<CONF
daemon off;
$([ "$(id -u)" = 0 ] && echo "user root;")
worker_processes 2;
pid $tmp/nginx.pid;
error_log $tmp/server.log;
events { worker_connections 256; }
http {
  access_log off;
  types { text/plain txt; text/html shtml; }
  client_body_temp_path $tmp/body; proxy_temp_path $tmp/proxy; fastcgi_temp_path $tmp/fastcgi;
  uwsgi_temp_path $tmp/uwsgi; scgi_temp_path $tmp/scgi;
  large_client_header_buffers 4 16k;
  gzip on; gzip_types text/plain; ssi on;
  server { listen 127.0.0.1:$port; root $tmp/html; }
}
CONF
  start $variant nginx -p "$tmp" -c "$tmp/nginx.conf"
  await 10 python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))"
  if [ $variant = sinter ]; then
    for worker in $(cat "/proc/$server/task/$server/children"); do maps_library "$worker"; done
  fi
  within 60 python3 "$tmp/load.py" "$port" >"$tmp/result.$variant" || server_failed "$variant: the load failed"
  if command -v wrk >/dev/null; then
    within 30 wrk -t 2 -c 30 -d 2 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/page.shtml" >"$tmp/wrk" ||
      server_failed "$variant: wrk failed"
    grep -E 'Non-2xx|Socket errors' "$tmp/wrk" && server_failed "$variant: wrk saw errors"
  fi
  stop "$server"
done
same nginx "$tmp/result.plain" "$tmp/result.sinter" || failures=1
finish
