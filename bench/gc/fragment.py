"""Fragmenting churn: what is resident after one collection when a random 80 % of many small objects were dropped."""

from common import MIB, Runs, Section, bar
from programs import LIBGC, MALLOC, SINTER, progress, run_workload, turns

SIZE_MIB, QUICK_SIZE_MIB = 1024, 128
BAR = 1.3  # x live bytes


def row(runs, name):
    sizes = [runs.cell(name, key, MIB) for key in ("live", "dropped", "collected", "idle", "settled")]
    return [name, *sizes, runs.cell(name, "idle_ratio"), runs.cell(name, "settled_ratio"),
            runs.cell(name, "collecting", 1e6)]


def run(context):
    contestants = context.contestants(LIBGC, MALLOC, SINTER)
    size = QUICK_SIZE_MIB if context.quick else SIZE_MIB
    runs, data = Runs(), []
    for number in range(context.rounds(3)):
        progress(f"fragment, round {number + 1}")
        for heap in turns(contestants, number) if number == 0 else contestants[-1:]:  # memory hardly varies
            result = run_workload(heap, "fragment", size=size, seed=context.seed(number))
            data.append(result)
            kept = {key: result[key] for key in ("live", "dropped", "collected", "idle", "settled", "collecting")}
            runs.add(heap, idle_ratio=result["idle"] / result["live"],
                     settled_ratio=result["settled"] / result["live"], **kept)
    heading = ["resident, MiB", "live", "80 % dropped", "collected", "idle", "released", "idle, x live",
               "released, x live", "collection, ms"]
    return Section("Fragmenting churn", [heading] + [row(runs, heap.name) for heap in contestants], [
        f"{size} MiB of objects of 32 to 512 B, a random 80 % dropped, one collection that compacts, 3 s of idleness, "
        "then a collection that gives back whatever is free. Everything the process has is counted; live are the sizes "
        "that the survivors were asked for, and every byte of them was compared.", *context.missing(LIBGC, MALLOC)],
        [bar("resident after one collection, idle, over live bytes", runs.median(SINTER, "idle_ratio"), BAR)], data)
