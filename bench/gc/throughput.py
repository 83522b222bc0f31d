"""Time, memory and pauses of whole programs, at several heap sizes."""

from common import MIB, Runs, Section, bar
from programs import LIBGC, MALLOC, SINTER, progress, run_workload, turns

FACTORS, QUICK_FACTORS = (150, 200, 300, 500), (200,)
JUDGED = 200
AS_LARGE = "as large as libgc"
BARS = {"gcbench": [(LIBGC, 0.6)], "binary-trees": [(LIBGC, 0.6), (MALLOC, 1.0)]}
ROUNDS = 5

# What is run, and how much of it; in a quick run.
WORKLOADS = {
    "gcbench": {"size": (19, 17)},
    "binary-trees": {"size": (19, 17)},
    "forest": {"size": (256, 64), "work": (40, 10)},
    "lists": {"size": (64, 16), "work": (20, 5)},
    "arrays": {"size": (256, 64), "work": (20, 5)},
}
THREADS = {"lists": (1, 2, 4)}
TITLES = {
    "gcbench": "GCBench: short-lived trees beside a tree and an array that live long",
    "binary-trees": "binary-trees of the Benchmarks Game",
    "forest": "A forest with holes: random parts of trees that live long are replaced",
    "lists": "Lists whose nodes refer to one another, pushed, popped, spliced and dropped",
    "arrays": "Large arrays of references that are nearly empty",
}


class Case:
    """A workload at one heap size with so many threads; the runs of all contestants."""

    def __init__(self, workload, factor, threads):
        self.workload, self.factor, self.threads = workload, factor, threads
        self.runs = Runs()

    def __str__(self):
        if self.workload not in THREADS:
            return f"{self.factor} %"
        return f"{self.factor} %, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def options(self, context, number):
        chosen = {key: values[context.quick] for key, values in WORKLOADS[self.workload].items()}
        return chosen | {"factor": self.factor, "threads": self.threads, "seed": context.seed(number)}


class Named:
    """What Runs.add() wants of a contestant."""

    def __init__(self, name):
        self.name = name


def add(runs, name, result):
    pauses = result.get("pauses", {})
    runs.add(Named(name), seconds=result["seconds"], cpu=result["cpu"], peak=result["peak"],
             settled=result["settled"] or None, collections=result.get("collections"), pause=pauses.get("max"),
             typical_pause=pauses.get("p50"))


def run_round(context, case, contestants, number, data):
    """All of them once; and Sinter once more, with as much memory as libgc took in this round."""
    options, results = case.options(context, number), {}
    for heap in turns(contestants, number):
        results[heap.name] = run_workload(heap, case.workload, **options)
        data.append(results[heap.name])
        add(case.runs, heap.name, results[heap.name])
    if case.factor == JUDGED and LIBGC in results:
        conf = f"minimum:{results[LIBGC]['peak'] >> 20}m"
        result = run_workload(contestants[-1], case.workload, conf, **options)
        data.append(result | {"conf": conf})
        add(case.runs, AS_LARGE, result)


def row(case, name):
    runs = case.runs
    who = f"{SINTER}, {AS_LARGE}" if name == AS_LARGE else name
    return [f"{case}: {who}",
            runs.cell(name, "seconds"), runs.ratio_cell(name, LIBGC, "seconds"), runs.ratio_cell(name, MALLOC, "seconds"),
            runs.cell(name, "cpu"), runs.ratio_cell(name, LIBGC, "cpu"),
            runs.cell(name, "peak", MIB), runs.cell(name, "settled", MIB),
            runs.cell(name, "collections"), runs.cell(name, "typical_pause", 1e6), runs.cell(name, "pause", 1e6)]


def bars(workload, cases):
    judged = next((case for case in cases if case.factor == JUDGED), None)
    for reference, limit in BARS.get(workload, []):
        for name, how in ((SINTER, ""), (AS_LARGE, f", {AS_LARGE}")):
            value = judged and judged.runs.ratio(name, reference, "seconds")
            yield bar(f"{workload} at {JUDGED} %{how}, time over {reference}'s", value, limit)


def run(context, workload):
    by_hand = () if workload == "lists" else (MALLOC,)
    contestants = context.contestants(LIBGC, *by_hand, SINTER)
    factors = QUICK_FACTORS if context.quick else FACTORS
    cases = [Case(workload, factor, threads) for factor in factors for threads in THREADS.get(workload, (1,))]
    data = []
    for number in range(context.rounds(ROUNDS, 3)):
        progress(f"{workload}, round {number + 1}")
        for case in cases:
            run_round(context, case, contestants, number, data)
    heading = ["heap size over live", "s", "x libgc", "x jemalloc", "CPU s", "x libgc", "peak, MiB", "settled, MiB",
               "collections", "pause p50, ms", "longest, ms"]
    rows = [row(case, name) for case in cases for name in case.runs.values]
    return Section(TITLES[workload], [heading] + rows, [
        "Ratios are formed within a round. libgc keeps a heap that was large once; 'as large as libgc' is Sinter that "
        "does not collect either before it is as large as libgc's process was in that round.",
        *context.missing(LIBGC, *by_hand)],
        list(bars(workload, cases)), data)
