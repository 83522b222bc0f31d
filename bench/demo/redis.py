#!/usr/bin/env python3
"""
Runs a real redis-server under load, in turns with jemalloc and with Sinter preloaded, and prints
throughput and memory of the two side by side.

Throughput: redis-benchmark against a fresh server per allocator and round; the table shows medians.
Memory: one more fresh server each is filled with string values of random sizes, then a random part of its
keys is deleted (both servers get the same bytes), and both idle side by side.

Needs redis-server, redis-benchmark and python3's standard library. Everything lives in a private temporary
directory and talks through Unix sockets in it; nothing is left behind.
"""

import argparse
import csv
import glob
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field

MIB = 1024 * 1024
PIPELINE = 2000  # commands a write of the loader
MIXED = ["lpush", "lpop", "sadd", "hset", "zadd"]

# Rows of the table: key, title, unit, whether more is better.
THROUGHPUT_ROWS = [
    ("set", "SET", "requests/s", True),
    ("get", "GET", "requests/s", True),
    ("mixed", "lists, sets, hashes", "requests/s", True),
]
MEMORY_ROWS = [
    ("used", "redis's own count (used_memory)", "MiB", False),
    ("loaded", "resident (VmRSS)", "MiB", False),
    ("peak", "peak resident (VmHWM)", "MiB", False),
]
DELETED_ROWS = [
    ("used_deleted", "redis's own count (used_memory)", "MiB", False),
    ("deleted", "resident at once", "MiB", False),
    ("idle", "resident after {idle:g} s idle", "MiB", False),
]


class DemoError(Exception):
    """Something a user can act on; printed without a traceback."""


@dataclass
class Allocator:
    """One contestant: a name for the table, and the library that is preloaded."""

    name: str
    library: str
    throughput: dict = field(default_factory=dict)  # row key -> one number a round
    memory: dict = field(default_factory=dict)  # row key -> bytes


# --- finding things -----------------------------------------------------------------------------------------


def find_program(name):
    path = shutil.which(name)
    if path is None:
        raise DemoError(f"{name} is not installed (Debian: apt-get install redis-server redis-tools)")
    return path


def find_sinter(build_dir):
    for folder in (".libs", "alloc/.libs"):
        path = os.path.join(build_dir, folder, "libsinter.so")
        if os.path.exists(path):
            return os.path.realpath(path)
    raise DemoError(f"no libsinter.so below {build_dir}: build it first (./bootstrap)")


def find_jemalloc(server_binary):
    """The jemalloc that redis-server is linked with if it is, else the system's."""
    linked = subprocess.run(["ldd", server_binary], capture_output=True, text=True, check=False).stdout
    match = re.search(r"libjemalloc\S* => (/\S+)", linked)
    candidates = [match.group(1)] if match else []
    candidates += sorted(glob.glob("/usr/lib/*/libjemalloc.so.2") + glob.glob("/usr/lib*/libjemalloc.so.2"))
    for path in candidates:
        if os.path.exists(path):
            return os.path.realpath(path)
    raise DemoError("no libjemalloc.so.2 found (Debian: apt-get install libjemalloc2)")


def contestants(options, server_binary):
    library = os.path.realpath(options.library) if options.library else find_sinter(options.build_dir)
    if not os.path.exists(library):
        raise DemoError(f"there is no library {library}")
    stem = re.match(r"(?:lib)?([^.]+)", os.path.basename(library)).group(1)
    name = "Sinter" if stem == "sinter" else stem
    return [Allocator("jemalloc", options.jemalloc or find_jemalloc(server_binary)), Allocator(name, library)]


# --- is the library really the one in use? ------------------------------------------------------------------


def environment_with(allocator):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LD_")}
    environment["LD_PRELOAD"] = allocator.library
    return environment


def check_bindings(allocator, server_binary, folder):
    """Asks the dynamic linker where redis-server's own malloc, calloc, realloc and free go."""
    trace = os.path.join(folder, f"bindings-{allocator.name}")
    environment = environment_with(allocator)
    environment |= {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": trace, "LD_BIND_NOW": "1"}
    run = subprocess.run([server_binary, "--version"], env=environment, capture_output=True, text=True,
                         check=False)
    if run.returncode != 0:
        raise DemoError(f"redis-server --version fails with {allocator.library} preloaded "
                        f"(status {run.returncode}):\n{run.stderr.strip()}")
    text = "".join(open(name, encoding="utf-8", errors="replace").read() for name in glob.glob(trace + ".*"))
    pattern = r"binding file \S*redis-\S+ \[0\] to (\S+) \[0\]: normal symbol `(malloc|calloc|realloc|free)'"
    targets = {}
    for target, symbol in re.findall(pattern, text):
        targets.setdefault(symbol, os.path.realpath(target))
    for symbol in ("malloc", "calloc", "realloc", "free"):
        if targets.get(symbol) != os.path.realpath(allocator.library):
            raise DemoError(f"{allocator.library} is preloaded, but redis-server's {symbol} is bound to "
                            f"{targets.get(symbol, 'nothing')}")


def check_blocks_are_elsewhere(info):
    """
    A redis-server that is linked with jemalloc asks it for statistics (mallctl) whatever is preloaded. With
    another allocator preloaded they must stay near zero: the data is not in jemalloc.
    """
    in_jemalloc = int(info.get("allocator_allocated", 0))
    if info["mem_allocator"].startswith("jemalloc") and in_jemalloc > int(info["used_memory"]) / 10:
        raise DemoError(f"{in_jemalloc / MIB:.0f} MiB of the server's data are in jemalloc, not in the "
                        "preloaded library")


# --- a server and a minimal client --------------------------------------------------------------------------


class Server:
    """A redis-server with one library preloaded, in a folder of its own, reached through a Unix socket."""

    def __init__(self, binary, allocator, folder):
        self.allocator = allocator
        self.folder = tempfile.mkdtemp(prefix="server-", dir=folder)
        self.socket_path = os.path.join(self.folder, "socket")
        self.log_path = os.path.join(self.folder, "log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [binary, "--port", "0", "--unixsocket", self.socket_path, "--dir", self.folder, "--save", "",
                 "--appendonly", "no", "--daemonize", "no"],
                env=environment_with(allocator), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.connection = self._connect()
            self.replies = self.connection.makefile("rb")
            self._check_mapped()
        except BaseException:
            self.stop()
            raise

    def _connect(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.check_alive()
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.socket_path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.02)
        raise DemoError(f"redis-server with {self.allocator.name} is silent after 10 s\n{self.log_tail()}")

    def _check_mapped(self):
        with open(f"/proc/{self.process.pid}/maps", encoding="utf-8") as maps:
            if not any(self.allocator.library in line for line in maps):
                raise DemoError(f"{self.allocator.library} is not mapped in the redis-server that runs")

    def log_tail(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            lines = [line.rstrip() for line in log if line.strip()]
        of_sinter = [line for line in lines[:-15] if line.startswith("sinter")]
        return "\n".join(f"    {line}" for line in of_sinter + lines[-15:])

    def check_alive(self):
        status = self.process.poll()
        if status is not None:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise DemoError(f"redis-server with {self.allocator.name} {how}; it said:\n{self.log_tail()}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def pipeline(self, commands, count):
        """Sends `count` ready-made commands and reads as many one-line replies."""
        try:
            self.connection.sendall(commands)
            for _ in range(count):
                reply = self.replies.readline()
                if not reply or reply.startswith(b"-"):
                    raise DemoError(f"redis-server answered {reply!r}")
        except (OSError, DemoError) as error:
            time.sleep(0.2)
            self.check_alive()
            raise DemoError(f"redis-server with {self.allocator.name}: {error}") from error

    def info_memory(self):
        self.connection.sendall(command(b"INFO", b"memory"))
        length = int(self.replies.readline()[1:])
        text = self.replies.read(length + 2).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def status_bytes(self, name):
        """A line of /proc/PID/status such as VmRSS, in bytes."""
        self.check_alive()
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            return int(re.search(rf"^{name}:\s+(\d+) kB", status.read(), re.M).group(1)) * 1024


def command(*words):
    """A command in redis's protocol."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


# --- throughput ---------------------------------------------------------------------------------------------


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
        raise DemoError(f"redis-benchmark failed:\n{run.stdout}{run.stderr}")
    return len(rates) / sum(1 / rate for rate in rates.values())


def measure_throughput(allocator, programs, folder, requests):
    server = Server(programs["redis-server"], allocator, folder)
    try:
        for key, tests, count in (("set", ["set"], requests), ("get", ["get"], requests),
                                  ("mixed", MIXED, requests // 4)):
            rate = redis_benchmark(programs["redis-benchmark"], server, tests, count)
            allocator.throughput.setdefault(key, []).append(rate)
    finally:
        server.stop()


def throughput_rounds(allocators, programs, folder, options):
    """Rounds in alternating order: as many as asked for, fewer where they would take too long."""
    started = time.monotonic()
    for turn in range(options.rounds):
        progress(f"throughput: round {turn + 1} of {options.rounds}")
        for allocator in allocators if turn % 2 == 0 else allocators[::-1]:
            measure_throughput(allocator, programs, folder, options.requests)
        elapsed = time.monotonic() - started
        if elapsed + elapsed / (turn + 1) > options.budget:
            break


# --- memory -------------------------------------------------------------------------------------------------


def batches(items, size):
    for start in range(0, len(items), size):
        yield items[start:start + size]


def load_keys(server, count, seed):
    """Sets `count` keys to values of 16 to 512 bytes; the seed decides which sizes."""
    sizes = random.Random(seed).choices(range(16, 513), k=count)
    value = {size: b"$%d\r\n%s\r\n" % (size, b"x" * size) for size in range(16, 513)}
    head = b"*3\r\n$3\r\nSET\r\n$12\r\nkey:%08d\r\n"
    for batch in batches(range(count), PIPELINE):
        server.pipeline(b"".join(head % index + value[sizes[index]] for index in batch), len(batch))


def delete_keys(server, count, share, seed):
    """Deletes a random `share` of the keys, one key a command."""
    chosen = random.Random(seed + 1).sample(range(count), int(count * share))
    form = b"*2\r\n$3\r\nDEL\r\n$12\r\nkey:%08d\r\n"
    for batch in batches(chosen, PIPELINE):
        server.pipeline(b"".join(form % index for index in batch), len(batch))


def fill_and_delete(server, options):
    memory = server.allocator.memory
    load_keys(server, options.keys, options.seed)
    info = server.info_memory()
    if server.allocator.name != "jemalloc":
        check_blocks_are_elsewhere(info)
    memory["used"] = int(info["used_memory"])
    memory["loaded"] = server.status_bytes("VmRSS")
    memory["peak"] = server.status_bytes("VmHWM")
    delete_keys(server, options.keys, options.delete, options.seed)
    memory["deleted"] = server.status_bytes("VmRSS")
    memory["used_deleted"] = int(server.info_memory()["used_memory"])


def measure_memory(allocators, programs, folder, options):
    servers = []
    try:
        for allocator in allocators:
            progress(f"memory: {allocator.name}, {options.keys:,} keys of 16 to 512 bytes, "
                     f"{options.delete:.0%} deleted")
            servers.append((Server(programs["redis-server"], allocator, folder), allocator))
            fill_and_delete(servers[-1][0], options)
            servers[-1] += (time.monotonic() + options.idle,)
        progress(f"memory: idle for {options.idle:g} s")
        for server, allocator, due in servers:
            time.sleep(max(0, due - time.monotonic()))
            allocator.memory["idle"] = server.status_bytes("VmRSS")
    finally:
        for server, *_ in servers:
            server.stop()


# --- the table ----------------------------------------------------------------------------------------------


def progress(text):
    print(f"  . {text}", flush=True)


def number(value, unit):
    return f"{value / MIB:,.1f}" if unit == "MiB" else f"{value:,.0f}"


def print_rows(title, rows, allocators, value_of, spread_of=None):
    base, other = allocators
    print(f"\n{title:<50} {base.name:>12} {other.name:>12} {'ratio':>7}")
    for key, name, unit, more_is_better in rows:
        values = [value_of(allocator, key) for allocator in allocators]
        spread = "   " + spread_of(key) if spread_of else ""
        better = "more is better" if more_is_better else "less is better"
        label = f"  {name}, {unit}"
        print(f"{label:<50} {number(values[0], unit):>12} {number(values[1], unit):>12} "
              f"{values[1] / values[0]:>7.2f}   {better}{spread}")


def note_on_load(load):
    if load > os.cpu_count():
        print(f"The machine was busy with other things (load average {load:.1f}): no basis for throughput.")


def print_table(allocators, options):
    def spread(key):
        parts = []
        for allocator in allocators:
            rates = allocator.throughput[key]
            parts.append(f"{(max(rates) - min(rates)) / statistics.median(rates):.0%}")
        return "spread " + " / ".join(parts)

    def memory(allocator, key):
        return allocator.memory[key]

    rounds = len(allocators[0].throughput["set"])
    print_rows(f"Throughput (median of {rounds} rounds)", THROUGHPUT_ROWS, allocators,
               lambda allocator, key: statistics.median(allocator.throughput[key]),
               spread if rounds > 1 else None)
    print_rows(f"Memory with {options.keys:,} keys", MEMORY_ROWS, allocators, memory)
    deleted = [(key, name.format(idle=options.idle), *rest) for key, name, *rest in DELETED_ROWS]
    print_rows(f"Memory after deleting a random {options.delete:.0%} of them", deleted, allocators, memory)
    print(f"\nratio = {allocators[1].name} / {allocators[0].name}. "
          "redis-benchmark with 50 clients, 16 requests in a pipeline, 128-byte values.")


def note_on_linkage(server_binary):
    linked = subprocess.run(["ldd", server_binary], capture_output=True, text=True, check=False).stdout
    if "libjemalloc" in linked:
        print("This redis-server is linked with jemalloc and says so in INFO whatever serves it. That its\n"
              "malloc, calloc, realloc and free go to the preloaded library, and its data are there, was\n"
              "checked; jemalloc stays mapped for its statistics, and what little it holds counts in both columns.")


# --- main ---------------------------------------------------------------------------------------------------


def parse_options():
    parser = argparse.ArgumentParser(description="redis-server under load, with jemalloc and with Sinter")
    parser.add_argument("--library", default=os.environ.get("SINTER_LIB"), metavar="PATH",
                        help="the library to compare with jemalloc (or SINTER_LIB; default: the build's)")
    parser.add_argument("--build-dir", default="build", metavar="DIR", help="where to find libsinter.so")
    parser.add_argument("--jemalloc", metavar="PATH", help="jemalloc's library (default: redis-server's own)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of the throughput part (default 5)")
    parser.add_argument("--budget", type=float, default=35,
                        help="seconds after which no further round is started (default 35)")
    parser.add_argument("--requests", type=int, default=800000,
                        help="requests a measurement (default 800000)")
    parser.add_argument("--keys", type=int, default=500000, help="keys of the memory part (default 500000)")
    parser.add_argument("--delete", type=float, default=0.9, help="share of keys to delete (default 0.9)")
    parser.add_argument("--idle", type=float, default=15, help="seconds to idle after it (default 15)")
    parser.add_argument("--seed", type=int, default=1,
                        help="decides value sizes and deleted keys (default 1)")
    return parser.parse_args()


def run_demo(options, folder):
    programs = {name: find_program(name) for name in ("redis-server", "redis-benchmark")}
    server_binary = programs["redis-server"]
    allocators = contestants(options, server_binary)
    version = subprocess.run([server_binary, "--version"], capture_output=True, text=True, check=True).stdout
    print(f"{version.split(' sha=')[0].strip()}, {os.cpu_count()} CPUs, Linux {os.uname().release}, "
          f"load average {os.getloadavg()[0]:.1f}")
    for allocator in allocators:
        check_bindings(allocator, server_binary, folder)
        print(f"  {allocator.name:<10} {allocator.library}")
    for variable in ("SINTER_CONF", "MALLOC_CONF"):
        if variable in os.environ:
            print(f"  {variable}={os.environ[variable]}")
    load = os.getloadavg()[0]
    throughput_rounds(allocators, programs, folder, options)
    measure_memory(allocators, programs, folder, options)
    print_table(allocators, options)
    note_on_linkage(server_binary)
    note_on_load(load)


def private_folder():
    """A temporary directory whose path leaves room for a Unix socket's name (108 bytes)."""
    parent = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(prefix="sinter-demo-", dir=parent if len(parent) < 60 else "/tmp")


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        with private_folder() as folder:
            run_demo(options, folder)
    except DemoError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")


if __name__ == "__main__":
    main()
