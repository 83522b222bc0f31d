#!/usr/bin/env python3
"""Counts the instructions of a malloc(64), one write and a free, the loop around them included, by callgrind.

The difference between a short and a long run is divided by the pairs that it is longer, so start-up, the first
allocations and exit do not count.
"""

import argparse
import re
import shutil
import subprocess
import sys

import measure

BATCHES = (100, 5000)
PAIRS_SHORT, PAIRS_LONG = 50_000, 250_000


def count(program, allocator, batch, pairs):
    """The instructions of one whole run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, str(batch),
               str(pairs // batch)]
    done = subprocess.run(command, env=allocator.environment(), capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not collected:
        sys.exit(f"{' '.join(command)} failed with {allocator.name}:\n{done.stderr}")
    return int(collected.group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default="bench/instructions", help="the counted program (%(default)s)")
    parser.add_argument("--sinter", metavar="PATH", help="libsinter.so, or the .la of a build tree")
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("instructions.py: valgrind is missing: install valgrind")
    print("instructions a pair  " + "".join(f"{f'batches of {batch}':>18}" for batch in BATCHES))
    for allocator in measure.all_allocators(options.sinter):
        if not allocator.available:
            print(f"{allocator.name:21}{'-':>18}{'-':>18}  ({allocator.missing_reason()})")
            continue
        pairs = [(count(options.program, allocator, batch, PAIRS_LONG)
                  - count(options.program, allocator, batch, PAIRS_SHORT)) / (PAIRS_LONG - PAIRS_SHORT)
                 for batch in BATCHES]
        print(f"{allocator.name:21}" + "".join(f"{value:18.1f}" for value in pairs), flush=True)


if __name__ == "__main__":
    main()
