"""redis under load on a hot tenth of its keys while the rest is, or could be, packed."""

import csv
import subprocess
import time

import redis_server as redis
from common import MIB, OFF, SINTER, Failure, Runs, Section, bar, progress, statistics_of, turns

KEYS, VALUE_BYTES = 400_000, 264
REQUESTS, QUICK_REQUESTS = 400_000, 100_000  # of each kind
IDLE_S = 15
CASES = [  # title, share of the keys that is deleted, seconds before the load, a load before the one that is measured
    ("sparse", 0.9, 0, False),
    ("packed", 0.9, IDLE_S, False),
    ("packed, 2nd load", 0.9, IDLE_S, True),
    ("full", 0.0, 0, False),
]
TESTS = ("set", "get")
THROUGHPUT_BAR, LATENCY_BAR = 0.97, 1.1


class Case:
    """Keys inserted in random order, so that the hot ones, which have the lowest numbers, lie among the others."""

    def __init__(self, title, deleted, idle, warm, seed):
        self.title, self.idle, self.warm = title, idle, warm
        self.keys = redis.Keys([VALUE_BYTES] * KEYS)
        self.hot = int(KEYS * (1 - deleted)) // 10
        order = redis.random_order(range(KEYS), seed)
        gone = redis.random_order(range(self.hot, KEYS), seed + 1)[:int(KEYS * deleted)]
        self.sets, self.deletes = list(self.keys.sets(order)), list(self.keys.deletes(gone))
        # The load writes to the hot keys; the others must keep what they hold.
        self.cold = sorted(set(range(self.hot, KEYS)) - set(gone))


def load(binary, server, hot, requests):
    """Requests per second and p99 latency in milliseconds, by kind of request."""
    run = subprocess.run(
        [binary, "-s", server.socket_path, "-t", ",".join(TESTS), "-n", str(requests), "-r", str(hot), "-c", "50",
         "-d", str(VALUE_BYTES), "--csv"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    server.check_alive()
    lines = run.stdout.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith('"test"')), len(lines))
    rows = list(csv.DictReader(lines[first:]))
    if run.returncode != 0 or [row["test"].lower() for row in rows] != list(TESTS):
        raise Failure(f"redis-benchmark failed:\n{run.stdout}{run.stderr}")
    return {row["test"].lower(): (float(row["rps"]), float(row["p99_latency_ms"])) for row in rows}


def run_once(programs, allocator, folder, case, requests):
    with redis.Server(programs[0], allocator, folder) as server:
        redis.set_all(server, case.sets)
        redis.delete_all(server, case.deletes)
        time.sleep(case.idle)
        if case.warm:
            load(programs[1], server, case.hot, requests)
        result = {"before": server.resident()}
        rates = load(programs[1], server, case.hot, requests)
        result["after"] = server.resident()
        _, intact, missing = redis.read_back(server, case.keys, case.cold)
        if missing:
            raise Failure(f"redis with {allocator.name} lost {missing} keys")
    for kind in TESTS:
        result[f"{kind}_per_second"], result[f"{kind}_p99_ms"] = rates[kind]
    return result | {"intact": intact, "statistics": server.statistics}


def row(runs, case, name):
    cells = []
    for kind in TESTS:
        cells += [f"{runs.median(name, f'{kind}_per_second'):,.0f}", runs.ratio_cell(name, OFF, f"{kind}_per_second"),
                  runs.cell(name, f"{kind}_p99_ms"), runs.ratio_cell(name, OFF, f"{kind}_p99_ms")]
    return [f"{case.title}: {name}", *cells, runs.cell(name, "before", MIB), runs.cell(name, "after", MIB),
            runs.cell(name, "packed_pages")]


def measure_case(context, case, contestants, programs, requests, data):
    runs, rounds = Runs(), context.rounds(7, 1)
    with redis.private_folder() as folder:
        for number in range(rounds):
            for one in turns(contestants, number):
                progress(f"redis, busy, {case.title}, round {number + 1}: {one.name}")
                result = run_once(programs, one, folder, case, requests)
                data.append({"case": case.title, "allocator": one.name, **result})
                runs.add(one, **result, **statistics_of(result))
    return runs


def bars_of(runs, case):
    lines = []
    for kind in TESTS:
        rate, latency = (runs.ratio(SINTER, OFF, f"{kind}_{what}") for what in ("per_second", "p99_ms"))
        title = f"{case.title}, {kind.upper()}"
        lines += [bar(f"{title}: requests a second, x {OFF}", rate, THROUGHPUT_BAR, at_least=True),
                  bar(f"{title}: p99 latency, x {OFF}", latency, LATENCY_BAR)]
    return lines


def run(context):
    contestants = [one for one in context.contestants(OFF, SINTER) if not one.is_libc]
    programs = [redis.find_program(name) for name in ("redis-server", "redis-benchmark")]
    requests = QUICK_REQUESTS if context.quick else REQUESTS
    kinds = [f"{kind.upper()}{what}" for kind in TESTS for what in ("/s", f" x {OFF}", " p99, ms", f" x {OFF}")]
    section = Section("redis, busy", [["keys: allocator", *kinds, "before, MiB", "after, MiB", "pages packed"]],
                      data=[])
    for title, deleted, idle, warm in CASES:
        case = Case(title, deleted, idle, warm, context.seed(0))
        runs = measure_case(context, case, contestants, programs, requests, section.data)
        section.rows += [row(runs, case, one.name) for one in contestants]
        section.bars += bars_of(runs, case)
    section.remarks = [
        f"{KEYS:,} values of {VALUE_BYTES} B inserted in random order; sparse and packed: a random 90 % deleted. "
        f"redis-benchmark begins at once, with packed {IDLE_S} s later, with 2nd load again after that: 50 clients, no "
        f"pipeline, {requests:,} SET and then as many GET on a hot tenth of the keys, which lies scattered over the heap. "
        f"{context.rounds(7, 1)} interleaved rounds, ratios formed within a round. All keys outside the hot tenth were "
        "compared afterwards."]
    return section
