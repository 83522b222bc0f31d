"""A redis-server with an allocator preloaded, a minimal client, and keys whose values can be checked."""

import csv
import glob
import json
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time

import watch

MIB = 1 << 20
BATCH = 2000  # commands a write
END_OF_ANSWER = b"+PONG\r\n"
NOTHING = b"$-1\r\n"


class RedisError(Exception):
    """Something a user can act on; printed without a traceback."""


# --- finding things -----------------------------------------------------------------------------------------


def find_program(name):
    path = shutil.which(name)
    if path is None:
        raise RedisError(f"{name} is not installed (Debian: apt-get install redis-server redis-tools)")
    return path


def find_jemalloc(server_binary):
    """The jemalloc that redis-server is linked with if it is, else the system's."""
    linked = subprocess.run(["ldd", server_binary], capture_output=True, text=True, check=False).stdout
    match = re.search(r"libjemalloc\S* => (/\S+)", linked)
    candidates = [match.group(1)] if match else []
    candidates += sorted(glob.glob("/usr/lib/*/libjemalloc.so.2") + glob.glob("/usr/lib*/libjemalloc.so.2"))
    for path in candidates:
        if os.path.exists(path):
            return os.path.realpath(path)
    raise RedisError("no libjemalloc.so.2 found (Debian: apt-get install libjemalloc2)")


def private_folder():
    """A temporary directory whose path leaves room for a Unix socket's name (108 bytes)."""
    parent = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(prefix="sinter-redis-", dir=parent if len(parent) < 60 else "/tmp")


# --- is the library really the one in use? ------------------------------------------------------------------


def is_sinter(allocator):
    return os.path.basename(allocator.path or "").startswith("libsinter")


def environment_with(allocator):
    """Only this library is preloaded; Sinter's statistics go to the server's log when it ends."""
    environment = {key: value for key, value in allocator.environment().items()
                   if not key.startswith("LD_") or key == "LD_PRELOAD"}
    if is_sinter(allocator):
        environment["SINTER_CONF"] = ",".join(filter(None, [environment.get("SINTER_CONF"), "stats:json"]))
    return environment


def check_bindings(allocator, server_binary, folder):
    """
    Asks the dynamic linker where redis-server's own malloc, calloc, realloc and free go; and, where redis counts
    used_memory by it, malloc_usable_size.
    """
    trace = os.path.join(folder, f"bindings-{allocator.name}")
    environment = environment_with(allocator)
    environment |= {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": trace, "LD_BIND_NOW": "1"}
    run = subprocess.run([server_binary, "--version"], env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RedisError(f"redis-server --version fails with {allocator.path} preloaded "
                         f"(status {run.returncode}):\n{run.stderr.strip()}")
    text = "".join(open(name, encoding="utf-8", errors="replace").read() for name in glob.glob(trace + ".*"))
    pattern = (r"binding file \S*redis-\S+ \[0\] to (\S+) \[0\]: normal symbol "
               r"`(malloc|calloc|realloc|free|malloc_usable_size)'")
    targets = {}
    for target, symbol in re.findall(pattern, text):
        targets.setdefault(symbol, os.path.realpath(target))
    for symbol in {"malloc", "calloc", "realloc", "free"} | targets.keys():
        if targets.get(symbol) != os.path.realpath(allocator.path):
            raise RedisError(f"{allocator.path} is preloaded, but redis-server's {symbol} is bound to "
                             f"{targets.get(symbol, 'nothing')}")


def check_blocks_are_elsewhere(info):
    """
    A redis-server that is linked with jemalloc asks it for statistics (mallctl) whatever is preloaded. With
    another allocator preloaded they must stay near zero: the data is not in jemalloc.
    """
    in_jemalloc = int(info.get("allocator_allocated", 0))
    if info["mem_allocator"].startswith("jemalloc") and in_jemalloc > int(info["used_memory"]) / 10:
        raise RedisError(f"{in_jemalloc / MIB:.0f} MiB of the server's data are in jemalloc, not in the "
                         "preloaded library")


# --- a server and a minimal client --------------------------------------------------------------------------


def command(*words):
    """A command in redis's protocol."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Server:
    """A redis-server with one library preloaded, in a folder of its own, reached through a Unix socket."""

    def __init__(self, binary, allocator, folder, options=()):
        self.allocator = allocator
        self.statistics = {}  # Sinter's own, once it has stopped
        self.folder = tempfile.mkdtemp(prefix="server-", dir=folder)
        self.socket_path = os.path.join(self.folder, "socket")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "--port", "0", "--unixsocket", self.socket_path, "--dir", self.folder, "--save", "",
                 "--appendonly", "no", "--daemonize", "no", *options],
                env=environment_with(allocator), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.connection = self._connect()
            self._check_mapped()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def _connect(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.check_alive()
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.socket_path)
                connection.settimeout(60)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.02)
        raise RedisError(f"redis-server with {self.allocator.name} is silent after 10 s\n{self.log_tail()}")

    def _check_mapped(self):
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as maps:
            if not any(self.allocator.path in line for line in maps):
                raise RedisError(f"{self.allocator.path} is not mapped in the redis-server that runs")

    def log_lines(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return [line.rstrip() for line in log if line.strip()]

    def log_tail(self):
        lines = self.log_lines()
        of_sinter = [line for line in lines[:-15] if line.startswith("sinter")]
        return "\n".join(f"    {line}" for line in of_sinter + lines[-15:])

    def check_alive(self):
        status = self.process.poll()
        if status is not None:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise RedisError(f"redis-server with {self.allocator.name} {how}; it said:\n{self.log_tail()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
            self.statistics = self._statistics()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _statistics(self):
        for line in reversed(self.log_lines()):
            if line.startswith("{"):
                try:
                    return json.loads(line)
                except json.JSONDecodeError:
                    return {}
        return {}

    def exchange(self, commands):
        """Sends ready-made commands and returns all their replies; a PING behind them marks the end."""
        try:
            self.connection.sendall(commands + b"*1\r\n$4\r\nPING\r\n")
            parts, tail = [], b""
            while tail != END_OF_ANSWER:
                parts.append(self.connection.recv(1 << 20))
                if not parts[-1]:
                    raise OSError("connection closed")
                tail = (tail + parts[-1][-len(END_OF_ANSWER):])[-len(END_OF_ANSWER):]
        except OSError as error:
            time.sleep(0.2)
            self.check_alive()
            raise RedisError(f"redis-server with {self.allocator.name}: {error}") from error
        return b"".join(parts)[:-len(END_OF_ANSWER)]

    def info(self, section=b"memory"):
        text = self.exchange(command(b"INFO", section)).decode()
        return dict(line.split(":", 1) for line in text.splitlines()[1:] if ":" in line)

    def used_memory(self):
        info = self.info()
        if "jemalloc" not in os.path.basename(self.allocator.path):
            check_blocks_are_elsewhere(info)
        return int(info["used_memory"])

    def resident(self, line="VmRSS"):
        self.check_alive()
        return watch.resident(self.process.pid, line)


# --- keys ---------------------------------------------------------------------------------------------------


def random_sizes(count, low, high, seed):
    return random.Random(seed).choices(range(low, high + 1), k=count)


def random_order(numbers, seed):
    order = list(numbers)
    random.Random(seed).shuffle(order)
    return order


class Keys:
    """
    Numbered keys of given sizes. What a key holds follows from its number, and no two hold the same; they are named
    as redis-benchmark names them. Commands come in batches of (bytes, how many).
    """

    def __init__(self, sizes):
        self.sizes = sizes

    def reply(self, number):
        """The value as redis sends it, and takes it."""
        size = self.sizes[number]
        return b"$%d\r\n%s\r\n" % (size, (b"%09d." % number * (size // 10 + 1))[:size])

    def _batches(self, order, one):
        for start in range(0, len(order), BATCH):
            part = order[start:start + BATCH]
            yield b"".join(map(one, part)), len(part)

    def sets(self, order):
        head = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n"
        return self._batches(order, lambda number: head % number + self.reply(number))

    def gets(self, order):
        form = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:%012d\r\n"
        return self._batches(order, lambda number: form % number)

    def deletes(self, order):
        form = b"*2\r\n$3\r\nDEL\r\n$16\r\nkey:%012d\r\n"
        return self._batches(order, lambda number: form % number)


def run_all(server, batches, reply):
    """Sends batches that redis must answer with nothing but `reply`; the seconds that it took to answer them."""
    spent = 0.0
    for commands, count in batches:
        start = time.monotonic()
        answer = server.exchange(commands)
        spent += time.monotonic() - start
        if answer != reply * count:
            raise RedisError(f"redis-server with {server.allocator.name} answered {answer[:80]!r}…")
    return spent


def set_all(server, batches):
    return run_all(server, batches, b"+OK\r\n")


def delete_all(server, batches):
    return run_all(server, batches, b":1\r\n")


def read_all(server, batches):
    """The seconds it took to get an answer to every batch, and the answers."""
    start = time.monotonic()
    answers = [server.exchange(commands) for commands, _ in batches]
    return time.monotonic() - start, answers


def compare(keys, order, answers):
    """How many of the keys that were read are as they were written, and how many are not there (any more)."""
    data = b"".join(answers)
    position = intact = missing = 0
    for number in order:
        expected = keys.reply(number)
        if data.startswith(expected, position):
            intact += 1
            position += len(expected)
        elif data.startswith(NOTHING, position):
            missing += 1
            position += len(NOTHING)
        else:
            raise RedisError(f"key {number} is damaged: {data[position:position + 80]!r}…")
    return intact, missing


def read_back(server, keys, order):
    """Reads and compares; what is there must be intact. Returns the seconds of reading, intact keys, missing keys."""
    seconds, answers = read_all(server, list(keys.gets(order)))
    return seconds, *compare(keys, order, answers)


def redis_benchmark(binary, server, tests, requests):
    """Runs redis-benchmark and returns its requests per second over all of `tests`."""
    run = subprocess.run(
        [binary, "-s", server.socket_path, "-t", ",".join(tests), "-n", str(requests), "-r", "200000",
         "-c", "50", "-P", "16", "-d", "128", "--csv"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    server.check_alive()
    rates = {}
    for row in csv.reader(run.stdout.splitlines()):
        try:
            rates[row[0].lower()] = float(row[1])
        except (IndexError, ValueError):
            continue  # the heading, or a warning
    if run.returncode != 0 or sorted(rates) != sorted(tests):
        raise RedisError(f"redis-benchmark failed:\n{run.stdout}{run.stderr}")
    return len(rates) / sum(1 / rate for rate in rates.values())
