"""The heaps that are compared, and running the programs that are built for them."""

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path += [os.path.join(HERE, ".."), os.path.join(HERE, "..", "compaction")]

import measure  # noqa: E402
from common import Failure, Missing, progress, turns  # noqa: E402

SINTER, LIBGC, MALLOC = "Sinter", "libgc", "jemalloc"
TIMEOUT_S = 900


class Heap:
    """One program, that has every workload in it, with the heap it is built for."""

    def __init__(self, name, program, environment, lack=None):
        self.name, self.program, self.lack = name, program, lack
        self.variables = environment  # None: it cannot be run

    def environment(self, conf=None):
        environment = dict(self.variables)
        if conf:
            environment["SINTER_GC_CONF"] = ",".join(filter(None, [environment.get("SINTER_GC_CONF"), conf]))
        return environment


def clean_environment():
    return {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}


def sinter_environment(library):
    """Where the library is, unless the program was linked so that it knows."""
    environment = clean_environment()
    path = library and measure.find_library(library)
    if path:
        folders = [os.path.dirname(path), environment.get("LD_LIBRARY_PATH")]
        environment["LD_LIBRARY_PATH"] = ":".join(filter(None, folders))
    return environment


class Context:
    """What the command line says."""

    def __init__(self, options):
        self.options, self.quick = options, options.quick
        jemalloc = measure.Allocator(MALLOC, ["libjemalloc.so.2"], "libjemalloc2")
        self.allocator = jemalloc
        self.heaps = [
            Heap(LIBGC, self.path("heap-libgc"), clean_environment(), "install libgc-dev and configure again"),
            Heap(MALLOC, self.path("heap-malloc"), jemalloc.environment() if jemalloc.available else None,
                 jemalloc.missing_reason()),
            Heap(SINTER, self.path("heap-sinter"), sinter_environment(options.sinter)),
        ]

    def path(self, name):
        return os.path.abspath(os.path.join(self.options.programs, name))

    def contestants(self, *names):
        """Those of the names that are there; Sinter has to be."""
        if not os.path.exists(self.heaps[-1].program):
            raise Missing(f"{self.heaps[-1].program} is not built")
        return [heap for heap in self.heaps if heap.name in names and not self.lacks(heap)]

    @staticmethod
    def lacks(heap):
        return heap.variables is None or not os.path.exists(heap.program)

    def missing(self, *names):
        return [f"{heap.name} is missing: {heap.lack}." for heap in self.heaps
                if heap.name in names and self.lacks(heap)]

    def rounds(self, normal, quick=1):
        return self.options.rounds or (quick if self.quick else normal)

    def seed(self, number):
        return self.options.seed + number

    def libraries(self):
        """As measure.context() wants them."""
        sinter = measure.Allocator(SINTER, [self.options.sinter or "libsinter-gc.so.1"])
        return [measure.Allocator(LIBGC, ["libgc.so.1"]), self.allocator, sinter]


def run(command, environment, who):
    """The results of a process; see measure.results()."""
    try:
        found = measure.results(command, environment, TIMEOUT_S)
    except measure.RunError as error:
        if error.status == 77:
            raise Missing(str(error)) from None
        raise Failure(f"{who}: {error} ({' '.join(command)})") from None
    errors = [result["error"] for result in found if "error" in result]
    if errors:
        raise Failure(f"{who}: {errors[0]} ({' '.join(command)})")
    return found


def run_workload(heap, workload, conf=None, **options):
    """Options that are None are left to the program."""
    command = [heap.program, f"--case={workload}"]
    command += [f"--{key}={value}" for key, value in options.items() if value is not None]
    about = {"heap": heap.name} | ({"conf": conf} if conf else {})
    return about | run(command, heap.environment(conf), heap.name)[0]


__all__ = ["Context", "Failure", "Missing", "progress", "run", "run_workload", "turns", "SINTER", "LIBGC", "MALLOC"]
