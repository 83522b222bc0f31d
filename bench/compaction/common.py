"""What the measurements of packing share: contestants, rounds, tables and bars."""

import json
import os
import statistics
import subprocess
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)), ".."))

import measure  # noqa: E402
from report import cell, median_and_spread  # noqa: E402

MIB = 1 << 20
SINTER, OFF, REFERENCE = "Sinter", "Sinter-off", "jemalloc"


class Missing(Exception):
    """What a measurement needs and is not here; it is left out."""


class Failure(Exception):
    """A program that failed or data that was lost."""


class Context:
    """What the command line says."""

    def __init__(self, options):
        self.options = options
        self.quick = options.quick
        mesh = measure.Allocator("Mesh", ["libmesh.so"], "Mesh, which Debian does not have")
        everyone = measure.all_allocators(options.sinter)
        self.allocators = everyone[:-1] + [mesh, measure.without_packing(options.sinter), everyone[-1]]

    def contestants(self, *usual):
        """Those of --allocators, else the usual ones; only what is installed. Sinter has to be."""
        wanted = self.options.allocators.lower().split(",") if self.options.allocators else map(str.lower, usual)
        wanted = set(wanted) | {SINTER.lower()}
        unknown = wanted - {allocator.name.lower() for allocator in self.allocators}
        if unknown:
            raise Failure(f"unknown allocator: {', '.join(sorted(unknown))}")
        chosen = [allocator for allocator in self.allocators if allocator.name.lower() in wanted]
        if not chosen[-1].available:
            raise Missing("libsinter.so is missing: give its path with --sinter")
        return [allocator for allocator in chosen if allocator.available]

    def missing(self):
        return [f"{allocator.name} is missing: {allocator.missing_reason()}." for allocator in self.allocators
                if not allocator.available]

    def rounds(self, normal, quick=1):
        return self.options.rounds or (quick if self.quick else normal)

    def program(self, name):
        path = os.path.join(self.options.programs, name)
        if not os.path.exists(path):
            raise Missing(f"{path} is not built")
        return os.path.abspath(path)

    def seed(self, number):
        """Of a round: the same keys for every contestant in it."""
        return self.options.seed + number


def turns(contestants, number):
    """In an order that rotates from round to round."""
    shift = number % len(contestants)
    return contestants[shift:] + contestants[:shift]


def progress(text):
    print(f"  . {text}", file=sys.stderr, flush=True)


def run_json(command, allocator):
    """The JSON object that a program prints."""
    done = subprocess.run(command, env=allocator.environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure(f"{os.path.basename(command[0])} with {allocator.name}: status {done.returncode}: "
                      f"{done.stderr.strip()[-300:]}")
    return json.loads(done.stdout)


def statistics_of(result):
    """Takes the statistics of a preloaded Sinter out of a result and keeps how many pages it packed."""
    statistics_found = result.pop("statistics", {})
    return {"packed_pages": statistics_found.get("pages_packed")}


class Runs:
    """Numbers by allocator and key, one a round; a ratio is formed within a round."""

    def __init__(self):
        self.values = {}

    def add(self, allocator, **numbers):
        for key, value in numbers.items():
            self.values.setdefault(allocator.name, {}).setdefault(key, []).append(value)

    def of(self, name, key):
        return [value for value in self.values.get(name, {}).get(key, []) if value is not None]

    def median(self, name, key):
        values = self.of(name, key)
        return statistics.median(values) if values else None

    def ratios(self, name, other, key):
        pairs = zip(self.values.get(name, {}).get(key, []), self.values.get(other, {}).get(key, []))
        return [one / two for one, two in pairs if one and two]

    def ratio(self, name, other, key):
        return median_and_spread(self.ratios(name, other, key))[0]

    def cell(self, name, key, scale=1):
        return cell(*median_and_spread([value / scale for value in self.of(name, key)]))

    def ratio_cell(self, name, other, key):
        return cell(*median_and_spread(self.ratios(name, other, key)))


class Section:
    """One measurement as it is reported: a table, remarks, bars, and everything measured."""

    def __init__(self, title, rows=(), remarks=(), bars=(), data=None, more_rows=()):
        self.title, self.rows, self.remarks, self.bars = title, list(rows), list(remarks), list(bars)
        self.more_rows = list(more_rows)  # of a second table
        self.data = data
        self.failed = False  # not merely slower or larger than it should be
        self.curves = {}  # resident memory over time, for a picture

    def tables(self):
        return [rows for rows in (self.rows, self.more_rows) if rows]

    def text(self):
        lines = [self.title, "-" * len(self.title)]
        for number, rows in enumerate(self.tables()):
            widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
            lines += [""] if number > 0 else []
            for first, *rest in rows:
                cells = [first.ljust(widths[0])] + [text.rjust(width) for text, width in zip(rest, widths[1:])]
                lines.append("  ".join(cells).rstrip())
        return "\n".join(lines + self.remarks + self.bars) + "\n"

    def markdown(self):
        lines = [f"## {self.title}", ""]
        for rows in self.tables():
            rule = ["---"] + ["---:"] * (len(rows[0]) - 1)
            lines += ["| " + " | ".join(row) + " |" for row in [rows[0], rule] + rows[1:]] + [""]
        if self.remarks:
            lines += self.remarks + [""]
        if self.bars:
            lines += ["```"] + self.bars + ["```", ""]
        return "\n".join(lines) + "\n"


def bar(text, value, limit, form="{:.3f}", at_least=False):
    """One line: whether a value keeps to its limit."""
    wanted = f"at {'least' if at_least else 'most'} {form.format(limit)}"
    if value is None:
        return f"{'not measured':12} {text}, {wanted}"
    reached = value >= limit if at_least else value <= limit
    return f"{'reached' if reached else 'MISSED':12} {text}: {form.format(value)}, {wanted}"


def chosen(only, measurements):
    """Those of --only, else all."""
    names = only.split(",") if only else list(measurements)
    unknown = set(names) - measurements.keys()
    if unknown:
        sys.exit(f"main.py: unknown measurement: {', '.join(sorted(unknown))}; there are: {' '.join(measurements)}")
    return names


def measured(name, measurement, context, *failures):
    """The section; where something is missing or failed (Failure, or one of these), one that says so."""
    load = measure.Load()
    start = time.monotonic()
    try:
        section = measurement(context)
    except Missing as error:
        return Section(name, bars=[f"{'not measured':12} {error}"])
    except (Failure, *failures) as error:
        section = Section(name, bars=[f"{'FAILED':12} {error}"])
        section.failed = True
        return section
    others = ", ".join(f"{percent:.1f} % {who}" for who, percent in load.others().items())
    section.remarks.append(f"Took {time.monotonic() - start:.0f} s; CPU time taken by others: {others}.")
    return section


def heading(facts, settings=""):
    libraries = ", ".join(f"{name} {path}" for name, path in facts["libraries"].items() if path)
    return (f"{facts['date']}, {facts['cpus']} CPUs ({facts['machine']}), Linux {facts['kernel']}, huge pages: "
            f"{facts['huge_pages']}. {'A quick run. ' if facts['quick'] else ''}"
            f"Median ±interquartile range in percent.{settings}\nLibraries: {libraries}\n")


def write(path, facts, section, head):
    """Files of its own for each measurement, so that one can be repeated alone."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        file.write(json.dumps({"context": facts, "runs": section.data}, indent=1) + "\n")
    with open(f"{path}.md", "w", encoding="utf-8") as file:
        file.write(f"{section.markdown()}{head}")
