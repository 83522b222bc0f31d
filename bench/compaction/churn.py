"""Fragmenting churn: how much stays resident when a random tenth of many small objects is left."""

import json
import subprocess
import time

import watch
from common import MIB, OFF, SINTER, Failure, Runs, Section, bar, cell, progress

OBJECTS, QUICK_OBJECTS = 2_000_000, 500_000
WATCHED_S, JUDGED_S = 20, 15
BAR = 1.25  # x live bytes
SHOWN_S = (1, 2, 5, 10, 15, 20)


def start(program, allocator, objects, seed):
    return subprocess.Popen([program, str(objects), str(seed)], env=allocator.environment(), text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run_once(program, allocator, objects, seed):
    """What the program says, and its resident memory without its own notes, from when it fell idle."""
    with start(program, allocator, objects, seed) as process:
        line = process.stdout.readline()
        with watch.Watch(process.pid) as sampler:
            if line:
                time.sleep(WATCHED_S)
        out, err = process.communicate("\n")
    if process.returncode != 0 or not line:
        raise Failure(f"churn with {allocator.name}: status {process.returncode}: {err.strip()[-300:]}")
    result = json.loads(line) | json.loads(out)
    result["samples"] = [(when, size - result["notes"]) for when, size in sampler.samples]
    return result


def row(runs, name):
    cells = [runs.cell(name, "loaded", MIB)] + [runs.cell(name, f"at_{when}", MIB) for when in SHOWN_S]
    judged = runs.median(name, "ratio")
    times = [runs.cell(name, key, 1e-3) for key in ("free_seconds", "check_seconds")]
    return [name] + cells + [cell(judged)] + times


def run(context):
    program = context.program("churn")
    others = ["jemalloc"] if context.quick else ["glibc", "jemalloc", "mimalloc", "tcmalloc", "Mesh"]
    contestants = context.contestants(*others, OFF, SINTER)
    objects = QUICK_OBJECTS if context.quick else OBJECTS
    runs, data, curves = Runs(), [], {}
    for number in range(context.rounds(3)):
        for allocator in contestants if number == 0 else contestants[-1:]:  # time is not what is compared
            progress(f"churn: {objects:,} objects, {allocator.name}")
            result = run_once(program, allocator, objects, context.seed(number))
            data.append({"allocator": allocator.name, **result})
            curves[allocator.name] = result["samples"]
            sizes = {f"at_{when}": watch.at(result["samples"], when) for when in SHOWN_S}
            runs.add(allocator, loaded=result["loaded"] - result["notes"], live=result["live"],
                     ratio=watch.at(result["samples"], JUDGED_S) / result["live"],
                     free_seconds=result["free_seconds"], check_seconds=result["check_seconds"], **sizes)
    live = runs.median(SINTER, "live")
    heading = ["resident, MiB", "loaded"] + [f"{when} s" for when in SHOWN_S] + [
        f"x live at {JUDGED_S} s", "freeing, ms", "first check, ms"]
    section = Section("Fragmenting churn", [heading] + [row(runs, one.name) for one in contestants], [
        f"{objects:,} objects of 64 to 512 B, a random 90 % freed, then idle; {live / MIB:.1f} MiB live (the sizes the "
        "survivors were asked for). The program's own notes are not counted, libc is.",
        "Every byte of every survivor was compared after that, which is the first check.",
        *context.missing()])
    section.bars.append(bar(f"resident after {JUDGED_S} s over live bytes", runs.median(SINTER, "ratio"), BAR))
    section.data, section.curves = data, {one.name: curves[one.name] for one in contestants}
    return section
