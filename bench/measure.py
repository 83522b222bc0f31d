"""Running benchmark programs, bench-malloc under one allocator after the other."""

import concurrent.futures
import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sysconfig
import time

TIMEOUT_S = 120
MEMORY_AT_ONCE = 10
BASELINE = "nothing"
# What Google Benchmark says of a result besides its times and counters.
ABOUT_RESULT = {"family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index",
                "threads", "time_unit", "items_per_second", "bytes_per_second"}


class RunError(Exception):
    """A program that failed, was not finished in time, or said something else than results."""

    def __init__(self, reason, status=None):
        super().__init__(reason)
        self.status = status


class Allocator:
    """A malloc implementation: how to preload it, with which options, and what to install where it is missing."""

    def __init__(self, name, files=(), package=None, conf=None):
        self.name = name
        self.package = package
        self.conf = conf
        self.path = next(filter(None, map(find_library, files)), None)
        self.is_libc = not files
        self.available = self.is_libc or self.path is not None

    def environment(self):
        env = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}
        env["BENCH_ALLOCATOR"] = "libc" if self.is_libc else self.path
        if not self.is_libc:
            env["LD_PRELOAD"] = self.path
        if self.conf:
            env["SINTER_CONF"] = ",".join(filter(None, [env.get("SINTER_CONF"), self.conf]))
        return env

    def missing_reason(self):
        return f"install {self.package}" if self.package else "give its path with --sinter"


def find_library(name):
    """The real path of a library: of a file, of libtool's .la, or of a name that the dynamic linker knows."""
    if name.endswith(".la") and os.path.exists(name):
        with open(name, encoding="utf-8") as text:
            dlname = re.search(r"^dlname='(.+)'$", text.read(), re.MULTILINE)
        name = os.path.join(os.path.dirname(name), ".libs", dlname.group(1)) if dlname else name
    if "/" in name:
        return os.path.realpath(name) if os.path.exists(name) else None
    ldconfig = shutil.which("ldconfig", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    known = subprocess.run([ldconfig, "-p"], capture_output=True, text=True).stdout if ldconfig else ""
    listed = re.findall(rf"^\s*{re.escape(name)} .*=> (\S+)$", known, re.MULTILINE)
    usual = [f"{root}/{name}" for root in (f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib64", "/usr/lib")]
    return next((os.path.realpath(path) for path in listed + usual if os.path.exists(path)), None)


def all_allocators(sinter):
    """The columns of the table, in their order."""
    return [
        Allocator("glibc"),
        Allocator("jemalloc", ["libjemalloc.so.2"], "libjemalloc2"),
        Allocator("mimalloc", ["libmimalloc.so.2", "libmimalloc.so.2.0"], "libmimalloc2.0"),
        Allocator("tcmalloc", ["libtcmalloc_minimal.so.4"], "libtcmalloc-minimal4"),
        Allocator("Sinter", sinter_files(sinter)),
    ]


def without_packing(sinter):
    """Sinter again, only on request: what packing costs is the difference."""
    return Allocator("Sinter-off", sinter_files(sinter), conf="compact:off")


def with_guard(sinter):
    """The same with guard mode at its default rate."""
    return Allocator("Sinter-guard", sinter_files(sinter), conf="guard:on")


def sinter_files(sinter):
    return [os.path.abspath(sinter)] if sinter else ["libsinter.so.1"]


def list_cases(program):
    """Name to kind (time, memory or baseline), in the order of the program's table."""
    lines = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout
    return dict(line.split("\t")[:2] for line in lines.splitlines())


def results(command, environment, timeout=TIMEOUT_S):
    """The numbers of each result of one process; all repetitions, no aggregates."""
    try:
        done = subprocess.run(command + ["--benchmark_format=json"], env=environment, capture_output=True, text=True,
                              timeout=timeout, check=False)
        if done.returncode != 0:
            last_line = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RunError(f"exit status {done.returncode}: {last_line}", done.returncode)
        found = [numbers(result) for result in json.loads(done.stdout)["benchmarks"] if result["run_type"] == "iteration"]
    except subprocess.TimeoutExpired:
        raise RunError(f"not finished after {timeout} s") from None
    except (json.JSONDecodeError, KeyError) as error:
        raise RunError(f"unreadable output: {error}") from None
    if not found:
        raise RunError("no results")
    return found


def run_once(program, case, allocator, min_time):
    """One process; without a time, it makes one iteration. Returns its numbers, or {"error": reason}."""
    command = [program, f"--case={case}", f"--benchmark_min_time={min_time}", f"--benchmark_min_warmup_time={min_time / 5}"]
    try:
        return results(command, allocator.environment())[0]
    except RunError as error:
        return {"error": str(error)}


def numbers(result):
    """What we keep of one result of Google Benchmark: all that is counted, and the nanoseconds an operation takes."""
    if result.get("error_occurred"):
        return {"error": result.get("error_message", "failed")}
    kept = {key: round(value) if key.endswith("_bytes") else value for key, value in result.items()
            if key not in ABOUT_RESULT}
    if result.get("items_per_second"):
        kept["time"] = 1e9 / result["items_per_second"]
    return kept


class Load:
    """How much of the machine others used: between its making and others(), in percent of all CPUs."""

    def __init__(self):
        self.start = self.now()

    @staticmethod
    def now():
        with open("/proc/stat", encoding="ascii") as stat:
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, stat.readline().split()[1:9])
        busy = user + nice + system + irq + softirq
        ours = sum(os.times()[:4]) * os.sysconf("SC_CLK_TCK")
        return busy + idle + iowait + steal, busy - ours, steal

    def others(self):
        """Other processes, and the hypervisor."""
        total, busy, steal = (after - before for before, after in zip(self.start, self.now()))
        return {"processes": max(0, 100 * busy / total), "stolen": 100 * steal / total} if total else {}


def measure_memory(program, cases, allocators):
    """The cases that wait for memory to settle, all at once: their time is no result, and they mostly sleep."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=MEMORY_AT_ONCE) as pool:
        started = {case: {allocator.name: pool.submit(run_once, program, case, allocator, 0)
                          for allocator in allocators} for case in cases}
        return {case: {name: [run.result()] for name, run in by_name.items()} for case, by_name in started.items()}


def measure_time(program, cases, allocators, rounds, min_time, progress):
    """All runs, interleaved: per round and case one process per allocator, in an order that rotates."""
    runs = {case: {allocator.name: [] for allocator in allocators} for case in cases}
    for number in range(rounds):
        for index, case in enumerate(cases):
            progress(f"round {number + 1}/{rounds}, case {index + 1}/{len(cases)}: {case}", index == 0)
            shift = (number + index) % len(allocators)
            for allocator in allocators[shift:] + allocators[:shift]:
                runs[case][allocator.name].append(run_once(program, case, allocator, min_time))
    return runs


def huge_page_mode():
    """always, madvise or never, as the kernel is set."""
    with contextlib.suppress(OSError), open("/sys/kernel/mm/transparent_hugepage/enabled", encoding="ascii") as mode:
        return mode.read().partition("[")[2].partition("]")[0]
    return "unknown"


def context(allocators, rounds, min_time):
    """What the numbers depend on."""
    tuned = ("SINTER_CONF", "MALLOC_", "MIMALLOC_", "TCMALLOC_", "GLIBC_TUNABLES")
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "machine": platform.machine(),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "huge_pages": huge_page_mode(),
        "rounds": rounds,
        "min_time_s": min_time,
        "libraries": {allocator.name: allocator.path for allocator in allocators},
        "environment": {key: value for key, value in os.environ.items() if key.startswith(tuned)},
    }
