#!/usr/bin/env python3
"""
Runs a real redis-server with jemalloc and with Sinter preloaded: fills it, deletes a random part of its keys, leaves it
idle, reads every remaining key back and compares it. Resident memory is sampled all the while and drawn at the end.
A short comparison of throughput follows, in turns.

Needs redis-server, redis-benchmark and python3's standard library; gnuplot for the picture. Everything lives in a
private temporary directory and talks through Unix sockets in it; only the picture is left, in the build directory.
"""

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

sys.dont_write_bytecode = True
sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))

import measure  # noqa: E402
import plot  # noqa: E402
import redis_server as redis  # noqa: E402
import watch  # noqa: E402

MIB = 1 << 20
MIXED = ["lpush", "lpop", "sadd", "hset", "zadd"]
BARE_S = 0.5  # watched before the first key

# Rows of the tables: key, title, unit, what to say about it.
MEMORY_ROWS = [
    ("loaded", "resident with {keys:,} keys", "MiB", "less is better"),
    ("deleted", "resident after deleting {delete:.0%}", "MiB", "less is better"),
    ("idle", "resident after {idle:g} s idle", "MiB", "less is better"),
    ("read", "resident after reading all", "MiB", "less is better"),
    ("again", "resident {after:g} s after that", "MiB", "less is better"),
    ("used", "redis's own count of what is left", "MiB", ""),
    ("intact", "remaining keys read back and equal", "", ""),
    ("seconds", "time to read them", "ms", "less is better"),
]
THROUGHPUT_ROWS = [
    ("set", "SET", "requests/s", "more is better"),
    ("get", "GET", "requests/s", "more is better"),
    ("mixed", "lists, sets, hashes", "requests/s", "more is better"),
]


@dataclass
class Contestant:
    """An allocator and what was measured of it."""

    allocator: measure.Allocator
    memory: dict = field(default_factory=dict)  # row key -> number
    samples: list = field(default_factory=list)  # of resident memory; see watch.py
    marks: list = field(default_factory=list)  # when what began
    throughput: dict = field(default_factory=dict)  # row key -> one number a round

    @property
    def name(self):
        return self.allocator.name


# --- preparations -------------------------------------------------------------------------------------------


def find_sinter(build_dir):
    for folder in (".libs", "alloc/.libs"):
        path = os.path.join(build_dir, folder, "libsinter.so")
        if os.path.exists(path):
            return os.path.realpath(path)
    raise redis.RedisError(f"no libsinter.so below {build_dir}: build it first (./bootstrap)")


def contestants(options, server_binary):
    library = os.path.realpath(options.library) if options.library else find_sinter(options.build_dir)
    if not os.path.exists(library):
        raise redis.RedisError(f"there is no library {library}")
    stem = re.match(r"(?:lib)?([^.]+)", os.path.basename(library)).group(1)
    name = "Sinter" if stem == "sinter" else stem
    jemalloc = os.path.realpath(options.jemalloc) if options.jemalloc else redis.find_jemalloc(server_binary)
    return [Contestant(measure.Allocator("jemalloc", [jemalloc])), Contestant(measure.Allocator(name, [library]))]


def introduce(sides, server_binary, folder):
    version = subprocess.run([server_binary, "--version"], capture_output=True, text=True, check=True).stdout
    print(f"{version.split(' sha=')[0].strip()}, {os.cpu_count()} CPUs, Linux {os.uname().release}, "
          f"load average {os.getloadavg()[0]:.1f}")
    for side in sides:
        redis.check_bindings(side.allocator, server_binary, folder)
        print(f"  {side.name:<10} {side.allocator.path}")
    for variable in ("SINTER_CONF", "MALLOC_CONF"):
        if variable in os.environ:
            print(f"  {variable}={os.environ[variable]}")


def progress(text):
    print(f"  . {text}", flush=True)


# --- memory -------------------------------------------------------------------------------------------------


class Plan:
    """What both servers go through: the same keys in the same order."""

    def __init__(self, options):
        self.keys = redis.Keys(redis.random_sizes(options.keys, 16, 512, options.seed))
        order = redis.random_order(range(options.keys), options.seed + 1)
        deleted = int(options.keys * options.delete)
        self.sets = list(self.keys.sets(range(options.keys)))
        self.deletes = list(self.keys.deletes(order[:deleted]))
        self.rest = order[deleted:]
        self.idle = options.idle
        self.after = options.after


def fill_delete_read(side, server, plan, sampler):
    def mark(text):
        side.marks.append((sampler.seconds(), text))

    memory = side.memory
    time.sleep(BARE_S)
    mark("fill")
    redis.set_all(server, plan.sets)
    memory["loaded"] = server.resident()
    mark("delete")
    redis.delete_all(server, plan.deletes)
    memory["deleted"] = server.resident()
    memory["used"] = server.used_memory()
    mark("idle")
    time.sleep(plan.idle)
    memory["idle"] = server.resident()
    mark("read back")
    seconds, memory["intact"], missing = redis.read_back(server, plan.keys, plan.rest)
    memory["seconds"] = seconds * 1000
    memory["read"] = server.resident()
    if missing:
        raise redis.RedisError(f"redis-server with {side.name} lost {missing} keys")
    mark("idle again")
    time.sleep(plan.after)
    memory["again"] = server.resident()


def measure_memory(sides, programs, folder, options):
    plan = Plan(options)
    for side in sides:
        progress(f"memory: {side.name}, {options.keys:,} keys of 16 to 512 bytes, {options.delete:.0%} deleted at "
                 f"random, {options.idle:g} s idle")
        with redis.Server(programs["redis-server"], side.allocator, folder) as server:
            with watch.Watch(server.process.pid) as sampler:
                fill_delete_read(side, server, plan, sampler)
            side.samples = sampler.samples


# --- throughput ---------------------------------------------------------------------------------------------


def measure_throughput(side, programs, folder, requests):
    with redis.Server(programs["redis-server"], side.allocator, folder) as server:
        for key, tests, count in (("set", ["set"], requests), ("get", ["get"], requests),
                                  ("mixed", MIXED, requests // 4)):
            rate = redis.redis_benchmark(programs["redis-benchmark"], server, tests, count)
            side.throughput.setdefault(key, []).append(rate)


def throughput_rounds(sides, programs, folder, options):
    """Rounds in alternating order: as many as asked for, fewer where they would take too long."""
    started = time.monotonic()
    for turn in range(options.rounds):
        progress(f"throughput: round {turn + 1} of {options.rounds}")
        for side in sides if turn % 2 == 0 else sides[::-1]:
            measure_throughput(side, programs, folder, options.requests)
        elapsed = time.monotonic() - started
        if elapsed + elapsed / (turn + 1) > options.budget:
            break


# --- what was measured --------------------------------------------------------------------------------------


def number(value, unit):
    return f"{value / MIB:,.1f}" if unit == "MiB" else f"{value:,.0f}"


def print_rows(title, rows, sides, value_of, remark_of=None):
    base, other = sides
    print(f"\n{title:<50} {base.name:>12} {other.name:>12} {'ratio':>7}")
    for key, name, unit, remark in rows:
        values = [value_of(side, key) for side in sides]
        label = f"  {name}{', ' if unit else ''}{unit}"
        ratio = f"{values[1] / values[0]:.2f}" if values[0] else "-"
        remark += "   " + remark_of(key) if remark_of else ""
        print(f"{label:<50} {number(values[0], unit):>12} {number(values[1], unit):>12} {ratio:>7}   {remark}".rstrip())


def print_memory(sides, options):
    rows = [(key, name.format(**vars(options)), unit, remark) for key, name, unit, remark in MEMORY_ROWS]
    print_rows("Memory", rows, sides, lambda side, key: side.memory[key])


def print_throughput(sides):
    def spread(key):
        return "spread " + " / ".join(f"{(max(rates) - min(rates)) / statistics.median(rates):.0%}"
                                      for rates in (side.throughput[key] for side in sides))

    rounds = len(sides[0].throughput["set"])
    print_rows(f"Throughput (median of {rounds} rounds)", THROUGHPUT_ROWS, sides,
               lambda side, key: statistics.median(side.throughput[key]), spread if rounds > 1 else None)
    print(f"\nratio = {sides[1].name} / {sides[0].name}. "
          "redis-benchmark with 50 clients, 16 requests in a pipeline, 128-byte values.")


def draw(sides, options):
    curves = {side.name: side.samples for side in sides}
    title = f"redis-server: {options.keys:,} keys, {options.delete:.0%} deleted at random, then idle"
    if not plot.have_gnuplot():
        print("\nNo picture: gnuplot is not installed (Debian: apt-get install gnuplot-nox).")
        return
    sketch = plot.sketch(f"{title} (MiB resident over seconds)", curves)
    print(f"\n{sketch or 'gnuplot cannot draw here.'}")
    folder = os.path.join(options.build_dir, "demo")
    drawn = [path for path in (os.path.join(folder, f"redis{kind}") for kind in plot.TERMINALS)
             if plot.draw(path, title, curves, sides[-1].marks)]
    print(f"\npicture: {', '.join(drawn) or 'none, gnuplot failed'}")


def note_on_linkage(server_binary):
    linked = subprocess.run(["ldd", server_binary], capture_output=True, text=True, check=False).stdout
    if "libjemalloc" in linked:
        print("This redis-server is linked with jemalloc and says so in INFO whatever serves it. That its\n"
              "malloc, calloc, realloc and free go to the preloaded library, and its data are there, was\n"
              "checked; jemalloc stays mapped for its statistics, and what little it holds counts in both columns.")


def note_on_load(load):
    if load > os.cpu_count():
        print(f"The machine was busy with other things (load average {load:.1f}): no basis for throughput.")


# --- main ---------------------------------------------------------------------------------------------------


def parse_options():
    parser = argparse.ArgumentParser(description="redis-server with jemalloc and with Sinter, side by side")
    parser.add_argument("--library", default=os.environ.get("SINTER_LIB"), metavar="PATH",
                        help="the library to compare with jemalloc (or SINTER_LIB; default: the build's)")
    parser.add_argument("--build-dir", default="build", metavar="DIR",
                        help="where to find libsinter.so, and where the picture goes")
    parser.add_argument("--jemalloc", metavar="PATH", help="jemalloc's library (default: redis-server's own)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the throughput part, 0: none (default 3)")
    parser.add_argument("--budget", type=float, default=35,
                        help="seconds after which no further round is started (default 35)")
    parser.add_argument("--requests", type=int, default=800000,
                        help="requests a measurement (default 800000)")
    parser.add_argument("--keys", type=int, default=500000, help="keys of the memory part (default 500000)")
    parser.add_argument("--delete", type=float, default=0.9, help="share of keys to delete (default 0.9)")
    parser.add_argument("--idle", type=float, default=15, help="seconds to idle after it (default 15)")
    parser.add_argument("--after", type=float, default=12,
                        help="seconds to idle after everything was read back (default 12)")
    parser.add_argument("--seed", type=int, default=1,
                        help="decides value sizes and deleted keys (default 1)")
    return parser.parse_args()


def run_demo(options, folder):
    programs = {name: redis.find_program(name) for name in ("redis-server", "redis-benchmark")}
    server_binary = programs["redis-server"]
    sides = contestants(options, server_binary)
    introduce(sides, server_binary, folder)
    load = os.getloadavg()[0]
    measure_memory(sides, programs, folder, options)
    draw(sides, options)
    print_memory(sides, options)
    if options.rounds > 0:
        print()
        throughput_rounds(sides, programs, folder, options)
        print_throughput(sides)
    note_on_linkage(server_binary)
    note_on_load(load)


def main():
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        with redis.private_folder() as folder:
            run_demo(options, folder)
    except redis.RedisError as error:
        sys.exit(f"demo: {error}")
    except KeyboardInterrupt:
        sys.exit("demo: interrupted")


if __name__ == "__main__":
    main()
