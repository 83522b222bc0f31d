"""A buffer of the latest messages: how long the slowest insertions take."""

from common import MIB, Runs, Section
from programs import LIBGC, MALLOC, SINTER, progress, run_workload, turns

MESSAGES, QUICK_MESSAGES = 200_000, 20_000
TIMES, QUICK_TIMES = 20, 10
QUANTILES = {"p50": "p50", "p99": "p99", "p999": "p99.9", "max": "longest"}


def row(runs, name):
    times = [runs.cell(name, key, 1000) for key in QUANTILES]
    return [name, *times, runs.cell(name, "pause", 1000), runs.cell(name, "seconds"), runs.cell(name, "peak", MIB)]


def run(context):
    contestants = context.contestants(LIBGC, MALLOC, SINTER)
    size = QUICK_MESSAGES if context.quick else MESSAGES
    runs, data = Runs(), []
    for number in range(context.rounds(5, 3)):
        progress(f"lru, round {number + 1}")
        for heap in turns(contestants, number):
            result = run_workload(heap, "lru", size=size, work=QUICK_TIMES if context.quick else TIMES,
                                  seed=context.seed(number))
            data.append(result)
            runs.add(heap, seconds=result["seconds"], peak=result["peak"],
                     pause=result.get("pauses", {}).get("max"), **{key: result["inserts"][key] for key in QUANTILES})
    heading = ["insertions, us", *QUANTILES.values(), "longest pause", "all, s", "peak, MiB"]
    return Section("The latest messages", [heading] + [row(runs, heap.name) for heap in contestants], [
        f"A window of {size:,} messages of 1 KiB; each that comes takes the place of the oldest. Every insertion is "
        "timed, and every message that is read again or left at the end is compared. Heaps of twice the live size.",
        *context.missing(LIBGC, MALLOC)], data=data)
