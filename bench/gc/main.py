#!/usr/bin/env python3
"""Measures the garbage-collected heap: against libgc, against malloc and free, and what threads notice of it."""

import argparse
import functools
import os
import signal
import sys

import programs
import flip
import moving
import own
import workloads

import common
import measure

MEASUREMENTS = {
    **{name: functools.partial(workloads.run, name=name) for name in workloads.WORKLOADS},
    "flip": flip.run,
    "own": own.run,
    "moving": moving.measure,
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sinter", metavar="PATH",
                        help="libsinter-gc.so, or the .la of a build tree; else where the dynamic linker finds it")
    parser.add_argument("--programs", metavar="DIR", default="bench/gc", help="where they are built (%(default)s)")
    parser.add_argument("--only", metavar="NAME,...", help=f"only these of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, for a look at a change")
    parser.add_argument("--seed", type=int, default=1, help="decides what is random (%(default)s)")
    parser.add_argument("--results", metavar="DIR", help="write gc-NAME.json and .md there")
    return parser.parse_args()


def about(context, options):
    facts = measure.context(context.libraries(), options.rounds, None)
    facts["quick"] = options.quick
    facts["environment"] |= {key: value for key, value in os.environ.items() if key.startswith(("SINTER_GC", "GC_"))}
    return {key: value for key, value in facts.items() if key != "min_time_s"}


def heading(facts):
    settings = ", ".join(f"{key}={value}" for key, value in facts["environment"].items())
    return common.heading(facts, f" Settings: {settings}" if settings else "")


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    context = programs.Context(options)
    facts = about(context, options)
    names = common.chosen(options.only, MEASUREMENTS)
    head = heading(facts)
    print(head, flush=True)
    failed = False
    for name in names:
        section = common.measured(name, MEASUREMENTS[name], context)
        failed = failed or section.failed
        print(section.text(), flush=True)
        if options.results:
            common.write(os.path.join(options.results, f"gc-{name}"), facts, section, head)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("main.py: interrupted")
