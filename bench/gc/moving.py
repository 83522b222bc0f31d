"""Moving dense memory against copying it to fresh pages."""

import os
import statistics

from common import MIB, Runs, Section, bar
from programs import Missing, SINTER, progress, run, run_workload
from workloads import Named

BARS = {"references": 5, "pointer-free run": 20}
# name: (copied, moved)
PAIRS = {
    "references": ("copy", "move"),
    "pointer-free": ("copy_leaf", "move_leaf"),
    "pointer-free run": ("copy_leaf", "move_leaf_run"),
}
DENSE_MIB, QUICK_DENSE_MIB = 256, 64
SPARSE_MIB, QUICK_SPARSE_MIB = 512, 128


def kernel(context, neighbours, data):
    """By the kernel's interface alone."""
    program, runs = context.path("moving"), Runs()
    if not os.path.exists(program):
        raise Missing(f"{program} is not built")
    for number in range(context.rounds(5, 2)):
        progress(f"moving, {neighbours} neighbours, round {number + 1}")
        command = [program, f"--mib={32 if context.quick else 128}", f"--neighbours={neighbours}",
                   f"--benchmark_repetitions={5 if context.quick else 15}", "--benchmark_enable_random_interleaving=true"]
        times = {}
        for result in run(command, context.heaps[-1].environment(), "moving"):
            times.setdefault(result["name"].partition("/")[0], []).append(result["time"])
        data.append({"neighbours": neighbours, "ns_a_block": times})
        for name, ways in PAIRS.items():
            copied, moved = (statistics.median(times[way]) for way in ways)
            runs.add(Named(name), copied=copied, moved=moved, ratio=copied / moved)
    return runs


def library(context, data):
    """By the library, everything that it does while objects move included."""
    runs, heap = Runs(), context.contestants(SINTER)[-1]
    for number in range(context.rounds(5, 2)):
        progress(f"moving by the library, round {number + 1}")
        result = run_workload(heap, "dense", size=QUICK_DENSE_MIB if context.quick else DENSE_MIB,
                              factor=400, seed=context.seed(number))
        data.append(result)
        blocks = (result["moved_whole"] + result["moved_copied"]) / 16384
        copied = result["copying_time"] / (result["copied_to_fresh"] / 16384)
        moved = result["moving_time"] / blocks if blocks else None
        runs.add(heap, copied=copied, moved=moved, ratio=moved and copied / moved,
                 whole=result["moved_whole"] / MIB, slid=result["moved_copied"] / MIB)
    return runs


def sparse(context, data):
    """Large objects, by the library: what a MiB of them takes, however little of it is there."""
    runs, heap = Runs(), context.contestants(SINTER)[-1]
    for number in range(context.rounds(5, 2)):
        progress(f"moving holes by the library, round {number + 1}")
        result = run_workload(heap, "sparse", size=QUICK_SPARSE_MIB if context.quick else SPARSE_MIB,
                              factor=400, seed=context.seed(number))
        data.append(result)
        mib = result["moved_whole"] / MIB
        runs.add(heap, moved=result["moving_time"] / mib if mib else None,
                 marked=result["marking_time"] / mib if mib else None,
                 grown=(result["resident_after"] - result["resident_before"]) / MIB)
    return runs


def row(label, runs, name):
    return [label, runs.cell(name, "copied", 1000), runs.cell(name, "moved", 1000), runs.cell(name, "ratio")]


def measure(context):
    data = []
    quiet, busy, dense = kernel(context, 0, data), kernel(context, 1, data), library(context, data)
    holes = sparse(context, data)
    rows = [["a block of 16 KiB", "copied, us", "moved, us", "copied over moved"]]
    for label, runs in (("", quiet), (", a neighbour busy", busy)):
        rows += [row(name + label, runs, name) for name in PAIRS]
    rows.append(row("references, by the library", dense, SINTER))
    return Section("Moving dense memory", rows, [
        "Objects of 64 B, two references each, which are rewritten whichever way they go; 16 blocks a call, pointer-free "
        "runs of 2 MiB a call. Copies go to pages that are not there yet, of 4 KiB. By the library: the whole time from "
        f"the flip until all is in its place; {dense.cell(SINTER, 'whole')} MiB moved whole, "
        f"{dense.cell(SINTER, 'slid')} MiB gathered; its copies rewrite nothing.",
        "Tables and buffers of 1 MiB of which one page in 16 is there, by the library: "
        f"{holes.cell(SINTER, 'moved', 1000)} us to move and {holes.cell(SINTER, 'marked', 1000)} us to mark each; "
        f"resident memory grew by {holes.cell(SINTER, 'grown')} MiB meanwhile."],
        [bar(f"copying over moving, {name}", quiet.median(name, "ratio"), limit, "{:.1f}", at_least=True)
         for name, limit in BARS.items()], data)
