"""Programs that never fragment: no userfaultfd, no thread that would not be there without packing."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from common import OFF, SINTER, Failure, Missing, Section, progress

BENCH_S, CONTROL_S = 3, 10
CALLS = "userfaultfd,openat,open,ioctl,clone,clone3,fork,vfork"
SEARCHED = {"userfaultfd": r"\buserfaultfd\(", "/dev/userfaultfd": r"\bopen(at)?\(.*/dev/userfaultfd",
            "UFFDIO ioctl": r"\bioctl\(.*UFFDIO_"}
THREAD = re.compile(r"\bclone3?\(.*CLONE_VM\b(?!.*CLONE_VFORK).*\) = \d+|<\.\.\. clone3? resumed>.*= \d+")


def traced(command, allocator):
    """The system calls of a program and its children, as text. strace itself keeps its own malloc."""
    environment = allocator.environment()
    passed = {key: environment.pop(key) for key in ("LD_PRELOAD", "SINTER_CONF") if key in environment}
    with tempfile.NamedTemporaryFile("r", prefix="sinter-strace-") as output:
        words = ["strace", "-f", "-q", "-o", output.name, "-e", f"trace={CALLS}"]
        words += [word for key, value in passed.items() for word in ("-E", f"{key}={value}")]
        done = subprocess.run(words + command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"{' '.join(command)} under strace: status {done.returncode}: {done.stderr.strip()[-300:]}")
        return output.read()


def seen(text):
    found = {name: len(re.findall(pattern, text)) for name, pattern in SEARCHED.items()}
    return found | {"threads": len(THREAD.findall(text))}


def commands(context):
    yield "ls -lR", ["/bin/ls", "-lR", os.path.dirname(os.__file__)]
    yield "python3 -c pass", [sys.executable, "-c", "pass"]
    bench = context.options.bench_program
    if bench and os.path.exists(bench):
        for case in ("batch/100x64", "batch/5000x64"):
            yield case, [os.path.abspath(bench), f"--case={case}", f"--benchmark_min_time={BENCH_S}"]


def fragmenting(context):
    """Shows that the search finds what there is to be found: this program does get packed."""
    wait = f"(sleep {CONTROL_S}; echo) | '{context.program('churn')}' 300000"
    return "churn, for comparison", ["/bin/sh", "-c", wait]


def run(context):
    if not shutil.which("strace"):
        raise Missing("strace is missing: install strace")
    allocators = {one.name: one for one in context.contestants(OFF, SINTER)}
    section = Section("Programs that never fragment", [["program", *SEARCHED, "threads", f"threads {OFF}"]], data={})
    loud = []
    for title, command in [*commands(context), fragmenting(context)]:
        progress(f"strace: {title}")
        found = {name: seen(traced(command, allocators[name])) for name in (SINTER, OFF)}
        section.data[title] = found
        section.rows.append([title, *(str(value) for value in found[SINTER].values()), str(found[OFF]["threads"])])
        if found[SINTER]["threads"] > found[OFF]["threads"] or any(found[SINTER][name] for name in SEARCHED):
            loud.append(title)
    *quiet, control = section.data
    disturbed = [title for title in loud if title != control]
    section.remarks = ["Counted by strace -f. Threads: those that the program, and the allocator for it, started."]
    if control not in loud:
        section.remarks.append("The program for comparison did not get packed either: this shows nothing.")
    verdict = "MISSED" if disturbed or control not in loud else "reached"
    left_alone = f"{len(quiet) - len(disturbed)} of {len(quiet)} programs"
    section.bars = [f"{verdict:12} no userfaultfd and no further thread in {left_alone}"]
    return section
