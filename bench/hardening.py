#!/usr/bin/env python3
"""What the options cost that harden ordinary blocks: a row each.

Instructions of a malloc(64), one write and a free, the loop around them included, by callgrind; time as a factor to that
without options, the median of interleaved rounds, in three cases of bench-malloc; and the memory that the second one needs at most.
"""

import argparse
import shutil
import statistics
import sys

import instructions
import measure

ROWS = ("", "zero_on_free:on", "randomize:on", "check:on", "quarantine:1m", "canary:on", "guard_large:on", "guard_tail:on",
        "check:on,zero_on_free:on,randomize:on,quarantine:1m,canary:on,guard_large:on,guard_tail:on", "guard:on")
CASES = ("batch/100x64", "churn/200000-to-512", "batch/100x64K")
MEMORY_CASE = CASES[1]
BATCH = 100


def pair_instructions(program, allocator):
    """As instructions.py."""
    longer, shorter = instructions.PAIRS_LONG, instructions.PAIRS_SHORT
    return (instructions.count(program, allocator, BATCH, longer)
            - instructions.count(program, allocator, BATCH, shorter)) / (longer - shorter)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="bench/bench-malloc", help="the benchmark program (%(default)s)")
    parser.add_argument("--counted", default="bench/instructions", help="the counted program (%(default)s)")
    parser.add_argument("--sinter", metavar="PATH", help="libsinter.so, or the .la of a build tree")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each case with each option (%(default)s)")
    options = parser.parse_args()
    allocators = [measure.Allocator(row, measure.sinter_files(options.sinter), conf=row) for row in ROWS]
    if not allocators[0].available:
        sys.exit("hardening.py: no libsinter.so: give its path with --sinter")
    runs = {(row, case): [] for row in ROWS for case in CASES}
    for _ in range(options.rounds):
        for case in CASES:
            for allocator in allocators:
                result = measure.run_once(options.program, case, allocator, 0.1)
                if "error" in result:
                    sys.exit(f"hardening.py: {case} with {allocator.name}: {result['error']}")
                runs[allocator.name, case].append(result)
    print(f"| option | instructions | {' | '.join(CASES)} | peak of {MEMORY_CASE} |")
    print("|---|" + "---|" * (len(CASES) + 2))
    for allocator in allocators:
        count = "-"
        if shutil.which("valgrind"):
            count = f"{pair_instructions(options.counted, allocator):.0f}"
        times = []
        for case in CASES:
            time, bare = (statistics.median(run["time"] for run in runs[row, case]) for row in (allocator.name, ""))
            times.append(f"{time:.0f} ns" if allocator.name == "" else f"{time / bare:.2f}")
        peak = max(run["peak_bytes"] for run in runs[allocator.name, MEMORY_CASE]) / 2 ** 20
        name = f"`{allocator.name}`" if allocator.name else "none"
        print(f"| {name} | {count} | {' | '.join(times)} | {peak:.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
