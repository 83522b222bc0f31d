"""How long a program waits that touches a packed page, on two CPUs."""

import contextlib
import os

from common import SINTER, Missing, Runs, Section, bar, progress, run_json

PAUSES_US = (0, 50, 1000)
TOUCHES, QUICK_TOUCHES = 10_000, 2_000
BARS_US = {"p50": 30, "p99": 100, "p999": 500}
NAMES = {"p50": "p50", "p99": "p99", "p999": "p99.9", "max": "max"}


@contextlib.contextmanager
def two_cpus():
    """Children that are started meanwhile have two CPUs."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:2])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def measure_pause(context, allocator, pause, touches, data):
    seen, counted = Runs(), Runs()
    for number in range(context.rounds(5, 1)):
        progress(f"stalls, {pause} us between touches, round {number + 1}")
        result = run_json([context.program("stall"), str(pause), str(touches)], allocator)
        data.append({"pause_us": pause, **result})
        if not result["touches"]:
            raise Missing("nothing was packed, so no touch could stall")
        seen.add(allocator, touches=result["touches"], **{key: result[key] for key in NAMES})
        if "library" in result:
            counted.add(allocator, faults=result["library"]["faults"],
                        **{key: result["library"][key] for key in NAMES})
    return seen, counted


def rows_of(pause, seen, counted):
    title = f"{pause} us between" if pause else "no pause"
    for who, runs, number in (("the program", seen, "touches"), ("the library", counted, "faults")):
        if runs.values:
            times = [runs.cell(SINTER, key, 1000) for key in NAMES]
            yield [f"{title}, seen by {who}", runs.cell(SINTER, number), *times]


def run(context):
    allocator = context.contestants(SINTER)[-1]
    touches = QUICK_TOUCHES if context.quick else TOUCHES
    section = Section("Touching packed pages", [["us", "number", *NAMES.values()]], [
        "1,000,000 objects of 256 B, a random 90 % freed, all packed by sinter_compact(), and again when none is left "
        "packed; packed pages touched in random order by one thread, on 2 CPUs. Medians of "
        f"{context.rounds(5, 1)} rounds, each quantile's spread beside it. What the library counts is from the page "
        "fault's message to the answer."], data=[])
    worst = {}
    with two_cpus():
        for pause in PAUSES_US:
            seen, counted = measure_pause(context, allocator, pause, touches, section.data)
            section.rows += rows_of(pause, seen, counted)
            for key in BARS_US:
                worst[key] = max(worst.get(key, 0), seen.median(SINTER, key) / 1000)
    section.bars = [bar(f"{NAMES[key]} of a touch in us, whatever the pause", worst[key], limit, "{:.1f}")
                    for key, limit in BARS_US.items()]
    return section
