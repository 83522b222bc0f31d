#!/usr/bin/env python3
"""What guard mode at its default rate costs a redis-server: requests a second with and without, in turns."""

import argparse
import statistics
import sys

import measure
import redis_server as redis

TESTS = ("set", "get", "lpush", "sadd", "hset", "zadd")
LIMIT = 0.98


def rates(server_binary, bench_binary, allocator, folder, requests):
    with redis.Server(server_binary, allocator, folder) as server:
        return {test: redis.redis_benchmark(bench_binary, server, [test], requests) for test in TESTS}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sinter", metavar="PATH", help="libsinter.so, or the .la of a build tree")
    parser.add_argument("--rounds", type=int, default=9, help="runs with and without (%(default)s)")
    parser.add_argument("--requests", type=int, default=400000, help="requests a test (%(default)s)")
    options = parser.parse_args()
    sides = [measure.Allocator("Sinter", measure.sinter_files(options.sinter)), measure.with_guard(options.sinter)]
    if not sides[0].available:
        sys.exit("guard_redis.py: no libsinter.so: give its path with --sinter")
    server, bench = redis.find_program("redis-server"), redis.find_program("redis-benchmark")
    ratios = {test: [] for test in TESTS}
    with redis.private_folder() as folder:
        for number in range(options.rounds):
            found = {side.name: rates(server, bench, side, folder, options.requests)
                     for side in (sides if number % 2 == 0 else sides[::-1])}
            for test in TESTS:
                ratios[test].append(found[sides[1].name][test] / found[sides[0].name][test])
    print("| redis-benchmark | requests a second, guard:on over off |")
    print("|---|---:|")
    for test in TESTS:
        low, middle, high = statistics.quantiles(ratios[test], n=4) if options.rounds > 1 else 3 * ratios[test]
        print(f"| {test} | {middle:.3f} ±{(high - low) / middle * 100:.0f} |")
    mean = statistics.geometric_mean(statistics.median(ratios[test]) for test in TESTS)
    print(f"\n{'reached' if mean >= LIMIT else 'MISSED'}      mean of {len(TESTS)} tests: {mean:.3f}, at least {LIMIT}")


if __name__ == "__main__":
    try:
        main()
    except redis.RedisError as error:
        sys.exit(f"guard_redis.py: {error}")
