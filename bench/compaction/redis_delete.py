"""redis after a random 90 % of its keys were deleted: what stays resident, and what deleting and reading take."""

import time

import redis_server as redis
import watch
from common import MIB, OFF, REFERENCE, SINTER, Failure, Runs, Section, bar, cell, progress, statistics_of, turns

KEYS, DELETED = 400_000, 0.9
IDLE_S, BARE_S = 15, 1
RESIDENT_BAR, DELETE_BAR, READ_BAR = 1.35, 1.05, 3.0


class Plan:
    """The same keys in the same order for every contestant of a round."""

    def __init__(self, seed):
        self.keys = redis.Keys(redis.random_sizes(KEYS, 16, 512, seed))
        order = redis.random_order(range(KEYS), seed + 1)
        deleted = int(KEYS * DELETED)
        self.sets = list(self.keys.sets(range(KEYS)))
        self.deletes = list(self.keys.deletes(order[:deleted]))
        self.rest = order[deleted:]  # in random order, in which they are read


def idle_and_read(server, plan, idle):
    with watch.Watch(server.process.pid) as sampler:
        time.sleep(idle)
        result = {"resident": server.resident(), "used_idle": server.used_memory()}
        seconds, intact, missing = redis.read_back(server, plan.keys, plan.rest)
        result |= {"read_seconds": seconds, "intact": intact, "after_read": server.resident()}
    if missing:
        raise Failure(f"redis with {server.allocator.name} lost {missing} keys")
    return result | {"samples": sampler.samples}


def run_once(binary, allocator, folder, plan, idle):
    with redis.Server(binary, allocator, folder) as server:
        time.sleep(BARE_S)
        result = {"bare": server.resident(), "set_seconds": redis.set_all(server, plan.sets)}
        result["loaded"] = server.resident()
        result["delete_seconds"] = redis.delete_all(server, plan.deletes)
        result["used"] = server.used_memory()
        if idle:
            result |= idle_and_read(server, plan, idle)
            result["over_used"] = (result["resident"] - result["bare"]) / result["used"]
            result["over_used_idle"] = (result["resident"] - result["bare"]) / result["used_idle"]
    return result | {"statistics": server.statistics}


def row(runs, name):
    return [name, *(runs.cell(name, key, MIB) for key in ("bare", "loaded", "resident", "after_read", "used")),
            cell(runs.median(name, "over_used")), cell(runs.median(name, "over_used_idle")),
            runs.cell(name, "packed_pages"), runs.cell(name, "delete_seconds", 1e-3),
            runs.ratio_cell(name, OFF, "delete_seconds"), runs.cell(name, "read_seconds", 1e-3),
            runs.ratio_cell(name, OFF, "read_seconds")]


def run(context):
    contestants = [one for one in context.contestants(REFERENCE, OFF, SINTER) if not one.is_libc]
    binary = redis.find_program("redis-server")
    idle, idle_rounds = (5, 1) if context.quick else (IDLE_S, 5)
    rounds = context.rounds(9, 2)
    runs, data, curves = Runs(), [], {}
    with redis.private_folder() as folder:
        for one in contestants:
            redis.check_bindings(one, binary, folder)
        for number in range(rounds):
            plan = Plan(context.seed(number))
            for one in turns(contestants, number):
                progress(f"redis, deletion, round {number + 1}: {one.name}")
                result = run_once(binary, one, folder, plan, idle if number < idle_rounds else 0)
                data.append({"allocator": one.name, **result})
                curves[one.name] = result.pop("samples", curves.get(one.name))
                runs.add(one, **result, **statistics_of(result))
    heading = ["allocator", "bare, MiB", f"{KEYS:,} keys", f"{idle} s after deletion", "all read", "used_memory",
               "above bare / used", "/ used then", "pages packed", "deleting, ms", f"x {OFF}", "reading, ms",
               f"x {OFF}"]
    section = Section("redis after deletion", [heading] + [row(runs, one.name) for one in contestants], [
        f"{KEYS:,} values of 16 to 512 B, a random {DELETED:.0%} of the keys deleted, {idle} s idle, then all that are "
        f"left read in random order and compared. {rounds} interleaved rounds, {min(rounds, idle_rounds)} of them to "
        "the end.",
        "used_memory is redis's own count after the deletion, taken by the preloaded library's malloc_usable_size. It "
        f"shrinks while redis is idle, with its table of keys: \"used then\" is its count {idle} s later."], data=data)
    section.bars = [
        bar("resident above the bare server over used_memory", runs.median(SINTER, "over_used"), RESIDENT_BAR),
        bar(f"time of deletion, x {OFF}", runs.ratio(SINTER, OFF, "delete_seconds"), DELETE_BAR),
        bar(f"first reading of what is left, x {OFF}", runs.ratio(SINTER, OFF, "read_seconds"), READ_BAR)]
    section.curves = curves
    return section
