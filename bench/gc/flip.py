"""What threads notice of compaction: pauses, stalls, and how much of their time is left to them."""

from common import Runs, Section, bar
from programs import SINTER, progress, run_workload

SIZES_MIB, QUICK_SIZES_MIB = (128, 1024), (32, 128)
CYCLES, QUICK_CYCLES = 50, 10
FLIP_BAR_US, STALL_BAR_US = 1000, 200
FACTOR = 400  # so that collections are those that are asked for

MS, US = 1e6, 1e3
# What is shown: how it is called, its key, its unit.
SHOWN = [
    ("flip p50, us", "flip_p50", US),
    ("flip p99, us", "flip_p99", US),
    ("flip longest, us", "flip_max", US),
    ("plan and flip p50, us", "marked_to_flipped_p50", US),
    ("plan and flip longest, us", "marked_to_flipped_max", US),
    ("mark p50, ms", "mark_p50", MS),
    ("whole pause p50, ms", "stopped_to_flipped_p50", MS),
    ("whole pause p99, ms", "stopped_to_flipped_p99", MS),
    ("whole pause longest, ms", "stopped_to_flipped_max", MS),
    ("stall p50, us", "stall_p50", US),
    ("stall p99, us", "stall_p99", US),
    ("stall p99.9, us", "stall_p999", US),
    ("stall longest, us", "stall_max", US),
    ("faults", "faults", 1),
    ("touches that waited, p50, us", "compacting_waits_p50", US),
    ("touches that waited, p99, us", "compacting_waits_p99", US),
    ("touch p50, us", "compacting_touches_p50", US),
    ("touch p99, us", "compacting_touches_p99", US),
    ("touch p99.9, us", "compacting_touches_p999", US),
    ("touch longest, us", "compacting_touches_max", US),
    ("touch p99.9 with nothing compacted, us", "quiet_touches_p999", US),
    ("touch longest with nothing compacted, us", "quiet_touches_max", US),
    ("least utilisation in 10 ms", "compacting_utilisation_10", 1),
    ("least utilisation in 100 ms", "compacting_utilisation_100", 1),
    ("in 10 ms, stops cut out", "compacting_utilisation_10_without_stops", 1),
    ("in 100 ms, stops cut out", "compacting_utilisation_100_without_stops", 1),
    ("in 10 ms with nothing compacted", "quiet_utilisation_10_without_stops", 1),
    ("in 100 ms with nothing compacted", "quiet_utilisation_100_without_stops", 1),
    ("a compaction's move, ms", "move", MS),
]


class Size:
    """What Runs.add() wants of a contestant."""

    def __init__(self, mib):
        self.name = f"{mib} MiB"
        self.mib = mib


def judge(runs, small, large):
    grown = runs.ratio(large.name, small.name, "flip p99, us")
    return [
        bar(f"flip p99 at {large.name} in us", us(runs, large, "flip p99, us"), FLIP_BAR_US, "{:.0f}"),
        bar(f"flip p99 at {large.name} over that at {small.name}", grown, 1.0),
        bar(f"touches that waited, p99 at {large.name} in us", us(runs, large, "touches that waited, p99, us"), STALL_BAR_US,
            "{:.0f}"),
    ]


def us(runs, size, key):
    value = runs.median(size.name, key)
    return value and value / US


def run(context):
    heap = context.contestants(SINTER)[-1]
    sizes = [Size(mib) for mib in (QUICK_SIZES_MIB if context.quick else SIZES_MIB)]
    cycles = QUICK_CYCLES if context.quick else CYCLES
    runs, data = Runs(), []
    for number in range(context.rounds(3)):
        for size in sizes:
            progress(f"flip, {size.name} live, round {number + 1}")
            result = run_workload(heap, "flip", size=size.mib, work=cycles, factor=FACTOR, seed=context.seed(number))
            data.append(dict(result))
            result["move"] = result["move_time"] / max(1, result["compactions"])
            runs.add(size, **{title: result[key] for title, key, _ in SHOWN})
    rows = [["live", *(size.name for size in sizes)]]
    rows += [[title, *(runs.cell(size.name, title, unit) for size in sizes)] for title, _, unit in SHOWN]
    return Section("What threads notice of compaction", rows, [
        f"Objects of 64 to 2048 B, half of them with references. One thread has everything compacted {cycles} times, 20 ms "
        "apart, while another reads random objects and replaces every 16th. Flips, pauses and stalls are the library's "
        "own numbers, right to 9 %; its flip is what follows planning, and 'plan and flip' lasts from the end of marking "
        "until threads go on; its stalls are counted from when the service wakes, or last knew that nobody waited, until the block is there, so neither "
        "its own waking is in them nor that of the thread. Touches "
        "are what that thread measured, waiting for a CPU included; those that waited are those of more than 5 us. Utilisation is the share "
        "of the worst window that was not spent in steps of more than 5 us."], judge(runs, *sizes), data)
