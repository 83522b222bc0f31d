"""Who serves touches of objects on the move: the library's thread, or the thread that touches (`faults:own`)."""

from common import Runs, Section, bar
from programs import SINTER, progress, run_workload

SIZE_MIB, QUICK_SIZE_MIB = 512, 64
CYCLES, QUICK_CYCLES = 50, 10
FACTOR = 400  # so that collections are those that are asked for
WAYS = ("service", "own")

US = 1e3
# What is shown: how it is called, its key, its unit.
SHOWN = [
    ("touches that fault, p50, us", "faulting_touches_p50", US),
    ("touches that fault, p90, us", "faulting_touches_p90", US),
    ("touches that fault, p99, us", "faulting_touches_p99", US),
    ("touch p99, us", "compacting_touches_p99", US),
    ("touch p99.9, us", "compacting_touches_p999", US),
    ("touch longest, us", "compacting_touches_max", US),
    ("stall p50 by the library, us", "stall_p50", US),
    ("stall p99 by the library, us", "stall_p99", US),
    ("utilisation, stops cut out", "compacting_utilisation_without_stops", 1),
    ("least in 10 ms, stops cut out", "compacting_utilisation_10_without_stops", 1),
    ("least in 100 ms, stops cut out", "compacting_utilisation_100_without_stops", 1),
    ("faults", "faults", 1),
    ("of these by the thread alone", "faults_own", 1),
    ("a compaction's move, ms", "move", 1e6),
    ("CPU of the collecting threads, s", "collecting_cpu", 1e9),
]


class Way:
    """What Runs.add() wants of a contestant."""

    def __init__(self, name):
        self.name = name


def run(context):
    heap = context.contestants(SINTER)[-1]
    size, cycles = (QUICK_SIZE_MIB, QUICK_CYCLES) if context.quick else (SIZE_MIB, CYCLES)
    runs, data = Runs(), []
    for number in range(context.rounds(5)):
        for name in WAYS if number % 2 == 0 else reversed(WAYS):
            progress(f"faults:{name}, round {number + 1}")
            result = run_workload(heap, "flip", conf=f"faults:{name}", size=size, work=cycles, factor=FACTOR,
                                  seed=context.seed(number))
            data.append(dict(result))
            result["move"] = result["move_time"] / max(1, result["compactions"])
            runs.add(Way(name), **{title: result[key] for title, key, _ in SHOWN})
    rows = [["", *(f"faults:{name}" for name in WAYS), "own over service"]]
    rows += [[title, *(runs.cell(name, title, unit) for name in WAYS), runs.ratio_cell("own", "service", title)]
             for title, _, unit in SHOWN]
    return Section("Who serves touches of objects on the move", rows, [
        f"The program of 'flip' with {size} MiB live, in turn with each. Touches that fault are the longest ones, as many as there were faults: "
        "what the thread itself measured, waiting for a CPU and the signal included. A stall by the library is counted from when the "
        "service wakes, or the handler begins, until the block is there. Utilisation is the share of the time, or of the worst window, "
        "that was not spent in steps of more than 5 us."],
        [bar("touches that fault, p50, own over service", runs.ratio("own", "service", SHOWN[0][0]), 1.0),
         bar("touches that fault, p99, own over service", runs.ratio("own", "service", SHOWN[2][0]), 1.0)], data)
