"""Time, memory and pauses of whole programs, at several heap sizes."""

from common import MIB, Runs, Section, bar
from programs import LIBGC, MALLOC, SINTER, progress, run_workload, turns

FACTORS, QUICK_FACTORS = (150, 200, 300, 500), (200,)
JUDGED = 200
AS_LARGE = "as large as libgc"
MS, US = 1e6, 1e3

# A heading, what is below it, and its unit or, where it is a ratio, whom it refers to.
COSTS = [
    ("s", "real_time", 1e9), ("x libgc", "real_time", LIBGC), ("x jemalloc", "real_time", MALLOC),
    ("CPU s", "cpu_time", 1e9), ("x libgc", "cpu_time", LIBGC),
    ("peak, MiB", "peak_bytes", MIB), ("settled, MiB", "settled_bytes", MIB), ("live, MiB", "live_bytes", MIB),
    ("settled, x live", "settled_ratio", 1),
]
PAUSES = [
    ("collections", "collections", 1), ("pause p50, ms", "pause_p50", MS), ("p99, ms", "pause_p99", MS),
    ("longest, ms", "pause_max", MS),
    ("least utilisation in 10 ms", "utilisation_10", 1), ("in 100 ms", "utilisation_100", 1),
    ("stall p99, us", "stall_p99", US), ("longest, us", "stall_max", US),
]
INSERTIONS = [(f"insertion {name}, us", f"inserts_{key}", US)
              for name, key in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999"), ("longest", "max"))]
RESIDENT = [("empty, MiB", "empty_bytes", MIB), ("80 % dropped, MiB", "dropped_bytes", MIB),
            ("collected, MiB", "collected_bytes", MIB), ("idle, MiB", "idle_bytes", MIB), ("idle, x live", "idle_ratio", 1),
            ("collection, ms", "collecting", MS)]

PAUSE_REMARK = ("A pause is a time in which all threads stand still; utilisation is the share of the worst window that was no "
                "pause. Stalls are those of single threads that touched an object on the move, as the library measures them, "
                "and not part of it.")
LARGE_REMARK = ("libgc keeps a heap that was large once; 'as large as libgc' is Sinter that does not collect either before it "
                "is as large as libgc's process was in that round.")


class Workload:
    """What is run, how much of it (and in a quick run), and how it is shown."""

    def __init__(self, title, size, work=(None, None), threads=(1,), rounds=(5, 3), by_hand=True, as_large=True,
                 pauses=(), remarks=(), bars=()):
        self.title, self.size, self.work, self.threads, self.rounds = title, size, work, threads, rounds
        self.heaps = (LIBGC, MALLOC, SINTER) if by_hand else (LIBGC, SINTER)
        self.as_large = as_large
        self.pauses = [*PAUSES, *pauses]
        self.remarks = ["Ratios are formed within a round.", LARGE_REMARK if as_large else "", PAUSE_REMARK, *remarks]
        self.bars = bars


WORKLOADS = {
    "gcbench": Workload("GCBench: short-lived trees beside a tree and an array that live long", (19, 17),
                        bars=[("real_time", LIBGC, 0.6)]),
    "binary-trees": Workload("binary-trees of the Benchmarks Game", (19, 17),
                             bars=[("real_time", LIBGC, 0.6), ("real_time", MALLOC, 1.0)]),
    "forest": Workload("GCBench with holes: random parts of trees that live long are replaced", (256, 64), (40, 10)),
    "lru": Workload(
        "The latest messages: each that comes takes the place of the oldest", (200_000, 20_000), (20, 10), pauses=INSERTIONS,
        remarks=["Messages have 1 KiB. Every insertion is timed, and what it waits for is part of it; every message that is "
                 "read again or left at the end is compared."]),
    "lists": Workload("Lists whose nodes refer to one another, pushed, popped, spliced and dropped", (64, 16), (20, 5),
                      threads=(1, 2, 3, 4), rounds=(3, 3), by_hand=False),
    "graph": Workload("Graphs full of cycles, of which random vertices are replaced and linked anew", (32, 8), (4, 4),
                      threads=(1, 2, 3, 4), rounds=(3, 3)),
    "arrays": Workload("Large arrays of references that are nearly empty", (256, 64), (20, 5)),
    "fragment": Workload(
        "Fragmenting churn", (1024, 256), rounds=(3, 1), as_large=False, pauses=RESIDENT,
        remarks=["Objects of 32 to 512 B, a random 80 % dropped, one collection that compacts, 3 s of idleness, which are not "
                 "timed, then a collection that gives back whatever is free. Everything the process has is counted, and what "
                 "it had while empty is part of it; live are the sizes that the survivors were asked for, and every byte of "
                 "them was compared."],
        bars=[("idle_ratio", None, 1.3)]),
}


class Case:
    """A workload at one heap size with so many threads; the runs of all contestants."""

    def __init__(self, name, factor, threads):
        self.name, self.workload, self.factor, self.threads = name, WORKLOADS[name], factor, threads
        self.runs = Runs()

    def __str__(self):
        if self.workload.threads == (1,):
            return f"{self.factor} %"
        return f"{self.factor} %, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def options(self, context, number):
        size, work = (values[context.quick] for values in (self.workload.size, self.workload.work))
        return {"size": size, "work": work, "factor": self.factor, "threads": self.threads, "seed": context.seed(number)}

    def add(self, name, result):
        ratios = {ratio: result[key] / result["live_bytes"]
                  for ratio, key in (("settled_ratio", "settled_bytes"), ("idle_ratio", "idle_bytes")) if key in result}
        columns = [key for _, key, _ in COSTS + self.workload.pauses]
        self.runs.add(Named(name), **{key: (result | ratios).get(key) for key in columns})


class Named:
    """What Runs.add() wants of a contestant."""

    def __init__(self, name):
        self.name = name


def run_round(context, case, contestants, number, data):
    """All of them once; and Sinter once more, with as much memory as libgc took in this round."""
    options, results = case.options(context, number), {}
    for heap in turns(contestants, number):
        results[heap.name] = run_workload(heap, case.name, **options)
        case.add(heap.name, results[heap.name])
    data += results.values()
    if case.workload.as_large and case.factor == JUDGED and LIBGC in results:
        conf = f"minimum:{results[LIBGC]['peak_bytes'] >> 20}m"
        data.append(run_workload(contestants[-1], case.name, conf, **options))
        case.add(AS_LARGE, data[-1])


def table(cases, columns):
    def shown(runs, name, key, unit):
        return runs.ratio_cell(name, unit, key) if isinstance(unit, str) else runs.cell(name, key, unit)

    rows = [["heap size over live", *(heading for heading, _, _ in columns)]]
    for case in cases:
        for name in case.runs.values:
            who = f"{SINTER}, {AS_LARGE}" if name == AS_LARGE else name
            rows.append([f"{case}: {who}", *(shown(case.runs, name, key, unit) for _, key, unit in columns)])
    return rows


def bars(name, cases):
    judged = next((case for case in cases if case.factor == JUDGED), None)
    for key, reference, limit in WORKLOADS[name].bars:
        if reference is None:
            yield bar("resident after one collection, idle, over live bytes", judged and judged.runs.median(SINTER, key), limit)
            continue
        for who, how in ((SINTER, ""), (AS_LARGE, f", {AS_LARGE}")):
            value = judged and judged.runs.ratio(who, reference, key)
            yield bar(f"{name} at {JUDGED} %{how}, time over {reference}'s", value, limit)


def run(context, name):
    workload = WORKLOADS[name]
    contestants = context.contestants(*workload.heaps)
    factors = QUICK_FACTORS if context.quick else FACTORS
    cases = [Case(name, factor, threads) for factor in factors for threads in workload.threads]
    data = []
    for number in range(context.rounds(*workload.rounds)):
        progress(f"{name}, round {number + 1}")
        for case in cases:
            run_round(context, case, contestants, number, data)
    return Section(workload.title, table(cases, COSTS), [*filter(None, workload.remarks), *context.missing(*workload.heaps)],
                   bars(name, cases), data, table(cases, workload.pauses))
