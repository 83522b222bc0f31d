#!/usr/bin/env python3
"""Compares allocators: runs bench-malloc under each, interleaved, and prints one table of ratios to jemalloc."""

import argparse
import json
import os
import re
import sys
import time

import measure
import report


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="bench/bench-malloc", help="the benchmark program (%(default)s)")
    parser.add_argument("--sinter", metavar="PATH", help="libsinter.so, or the .la of a build tree")
    parser.add_argument("--allocators", metavar="NAME,...",
                        help="only these of glibc, jemalloc, mimalloc, tcmalloc, sinter; sinter-off: without packing, "
                             "sinter-guard: with guard mode")
    parser.add_argument("--filter", metavar="REGEX", default="", help="only cases whose name matches")
    parser.add_argument("--rounds", type=int, help="runs of each case under each allocator (7; quick 3)")
    parser.add_argument("--quick", action="store_true", help="short runs, for a look at a change")
    parser.add_argument("--json", metavar="FILE", help="keep every number there")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there too")
    parser.add_argument("--from", metavar="FILE", dest="source", help="report on a kept JSON file, run nothing")
    return parser.parse_args()


def choose_allocators(options):
    allocators = measure.all_allocators(options.sinter)
    if not options.allocators:
        return allocators
    allocators += [measure.without_packing(options.sinter), measure.with_guard(options.sinter)]
    wanted = options.allocators.lower().split(",")
    unknown = set(wanted) - {allocator.name.lower() for allocator in allocators}
    if unknown:
        sys.exit(f"run.py: unknown allocator: {', '.join(sorted(unknown))}")
    return [allocator for allocator in allocators if allocator.name.lower() in wanted]


def choose_cases(options):
    kinds = measure.list_cases(options.program)
    chosen = {case: kind for case, kind in kinds.items() if kind != "baseline" and re.search(options.filter, case)}
    if not chosen:
        sys.exit(f"run.py: no case matches {options.filter!r}; there are: {' '.join(kinds)}")
    return {measure.BASELINE: "baseline"} | chosen


def progress_printer():
    """Prints what is going on: on a terminal in one line that is overwritten, elsewhere only milestones."""
    start = time.monotonic()

    def progress(text, milestone=True):
        if sys.stderr.isatty():
            print(f"\r\033[K{time.monotonic() - start:3.0f} s  {text}", end="", file=sys.stderr, flush=True)
        elif milestone:
            print(f"{time.monotonic() - start:3.0f} s  {text}", file=sys.stderr, flush=True)

    return progress


def run(options):
    allocators = choose_allocators(options)
    present = [allocator for allocator in allocators if allocator.available]
    if not present:
        sys.exit("run.py: none of the allocators is installed")
    kinds = choose_cases(options)
    rounds = options.rounds or (3 if options.quick else 7)
    min_time = 0.02 if options.quick else 0.1
    about = measure.context(allocators, rounds, min_time)
    about["missing"] = {allocator.name: allocator.missing_reason() for allocator in allocators
                        if not allocator.available}
    progress = progress_printer()
    settling = [case for case, kind in kinds.items() if kind == "memory"]
    if settling:
        progress("memory that remains after fragmenting churn")
    memory = measure.measure_memory(options.program, settling, present)
    load = measure.Load()
    timed = [case for case in kinds if case not in settling]
    runs = measure.measure_time(options.program, timed, present, rounds, min_time, progress)
    about["others_percent"] = load.others()
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return {"context": about, "kinds": kinds, "runs": runs | memory}


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    options = parse_arguments()
    if options.source:
        with open(options.source, encoding="utf-8") as file:
            data = json.load(file)
    else:
        data = run(options)
    if options.json:
        write(options.json, json.dumps(data, indent=1) + "\n")
    results = report.Results(data)
    if options.markdown:
        write(options.markdown, report.as_markdown(results))
    sys.stdout.write(report.as_text(results))
    return 1 if any(results.errors()) else 0


if __name__ == "__main__":
    sys.exit(main())
