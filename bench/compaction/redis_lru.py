"""redis as an LRU cache whose values change size: what is evicted leaves holes that the new values do not fit."""

import time

import redis_server as redis
import watch
from common import MIB, OFF, REFERENCE, SINTER, Failure, Runs, Section, bar, progress, statistics_of, turns

FIRST, SECOND = (700_000, 240), (170_000, 492)  # values, bytes
OPTIONS = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
IDLE_S = 15
RESIDENT_BAR, THROUGHPUT_BAR = 120_000_000, 0.97


def watch_and_read(server, keys, idle):
    """After the insertion: memory while idle, then every key that exists compared."""
    with watch.Watch(server.process.pid) as sampler:
        time.sleep(idle)
        resident = server.resident()
    used = server.used_memory()
    server.exchange(redis.command(b"CONFIG", b"SET", b"maxmemory", b"0"))  # replies count too: reading would evict
    present = int(server.exchange(redis.command(b"DBSIZE"))[1:])
    _, intact, _ = redis.read_back(server, keys, range(len(keys.sizes)))
    if intact != present:
        raise Failure(f"redis with {server.allocator.name}: {present} keys, of which {intact} are intact")
    return {"resident": resident, "used": used, "intact": intact, "samples": sampler.samples}


def run_once(binary, allocator, folder, keys, batches, idle):
    with redis.Server(binary, allocator, folder, OPTIONS) as server:
        seconds = redis.set_all(server, batches)
        result = {"inserted_per_second": len(keys.sizes) / seconds, "inserted": server.resident()}
        if idle:
            result |= watch_and_read(server, keys, idle)
    return result | {"statistics": server.statistics}


def row(runs, name):
    return [name, runs.cell(name, "inserted", MIB), runs.cell(name, "resident", MIB),
            f"{runs.median(name, 'resident') / 1e6:.1f}", runs.cell(name, "used", MIB),
            f"{runs.median(name, 'intact'):,.0f}", runs.cell(name, "packed_pages"),
            f"{runs.median(name, 'inserted_per_second'):,.0f}", runs.ratio_cell(name, REFERENCE, "inserted_per_second")]


def run(context):
    contestants = [one for one in context.contestants(REFERENCE, OFF, SINTER) if not one.is_libc]
    binary = redis.find_program("redis-server")
    keys = redis.Keys([FIRST[1]] * FIRST[0] + [SECOND[1]] * SECOND[0])
    batches = list(keys.sets(range(len(keys.sizes))))
    idle, idle_rounds = (5, 1) if context.quick else (IDLE_S, 3)
    runs, data, curves = Runs(), [], {}
    with redis.private_folder() as folder:
        for one in contestants:
            redis.check_bindings(one, binary, folder)
        for number in range(context.rounds(9, 2)):
            for one in turns(contestants, number):
                progress(f"redis, LRU, round {number + 1}: {one.name}")
                result = run_once(binary, one, folder, keys, batches, idle if number < idle_rounds else 0)
                data.append({"allocator": one.name, **result})
                curves[one.name] = result.pop("samples", curves.get(one.name))
                runs.add(one, **result, **statistics_of(result))
    heading = ["allocator", "inserted, MiB", f"{idle} s later, MiB", "MB", "used_memory, MiB", "keys intact",
               "pages packed", "SET/s", f"x {REFERENCE}"]
    section = Section("redis as an LRU cache", [heading] + [row(runs, one.name) for one in contestants], [
        f"maxmemory 100mb, allkeys-lru; {FIRST[0]:,} values of {FIRST[1]} B, then {SECOND[0]:,} of {SECOND[1]} B, "
        f"{idle} s idle. Every key that was left was compared. Throughput of {context.rounds(9, 2)} interleaved "
        "rounds, its ratio formed within a round."], data=data)
    section.bars = [
        bar(f"resident bytes {idle} s after insertion", runs.median(SINTER, "resident"), RESIDENT_BAR, "{:,.0f}"),
        bar(f"insertion, x {REFERENCE}", runs.ratio(SINTER, REFERENCE, "inserted_per_second"), THROUGHPUT_BAR,
            at_least=True)]
    section.curves = curves
    return section
