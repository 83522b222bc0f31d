#!/usr/bin/env python3
"""Measures packing: what it saves, what it costs, that nothing is lost by it. See docs/benchmarks.md."""

import argparse
import os
import signal
import sys

import common
import churn
import quiet
import redis_busy
import redis_delete
import redis_lru
import stall

import measure
import plot
from redis_server import RedisError

MEASUREMENTS = {
    "churn": churn.run,
    "redis-lru": redis_lru.run,
    "redis-delete": redis_delete.run,
    "redis-busy": redis_busy.run,
    "stall": stall.run,
    "quiet": quiet.run,
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sinter", metavar="PATH", help="libsinter.so, or the .la of a build tree")
    parser.add_argument("--programs", metavar="DIR", default="bench/compaction", help="where churn and stall are built")
    parser.add_argument("--bench-program", metavar="PATH", help="bench-malloc, for quiet")
    parser.add_argument("--only", metavar="NAME,...", help=f"only these of {', '.join(MEASUREMENTS)}")
    parser.add_argument("--allocators", metavar="NAME,...",
                        help="only these of glibc, jemalloc, mimalloc, tcmalloc, mesh, sinter-off beside sinter")
    parser.add_argument("--rounds", type=int, help="rounds of each measurement")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, for a look at a change")
    parser.add_argument("--seed", type=int, default=1, help="decides sizes and what is freed (%(default)s)")
    parser.add_argument("--results", metavar="DIR", help="write compaction-NAME.json, .md and .svg there")
    return parser.parse_args()


def about(context, options):
    facts = measure.context(context.allocators, options.rounds, None)
    facts["quick"] = options.quick
    return {key: value for key, value in facts.items() if key != "min_time_s"}


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    context = common.Context(options)
    facts = about(context, options)
    names = common.chosen(options.only, MEASUREMENTS)
    head = common.heading(facts)
    print(head, flush=True)
    failed = False
    for name in names:
        section = common.measured(name, MEASUREMENTS[name], context, RedisError)
        failed = failed or section.failed
        print(section.text(), flush=True)
        if options.results:
            path = os.path.join(options.results, f"compaction-{name}")
            common.write(path, facts, section, head)
            if section.curves and plot.have_gnuplot():
                plot.draw(f"{path}.svg", section.title, section.curves)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("main.py: interrupted")
