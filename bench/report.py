"""Ratios, the table, and the bars that Sinter is held against."""

import math
import statistics

from measure import BASELINE

REFERENCE = "jemalloc"
WITHOUT_PACKING = "Sinter-off"
WITH_GUARD = "Sinter-guard"
MIB = 1 << 20
LARGE_BLOCKS = "large/"
BIG_ENOUGH = 8 * MIB  # peaks above the empty program's that are worth a ratio of their own


def median_and_spread(values):
    """The median and the interquartile range in percent of it; (None, None) without values."""
    if not values:
        return None, None
    middle = statistics.median(values)
    if len(values) < 2 or not middle:
        return middle, None
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return middle, 100 * (high - low) / middle


def geometric_mean(values):
    values = [value for value in values if value]
    return math.exp(statistics.fmean(map(math.log, values))) if values else None


class Results:
    """What was measured, as {"context", "kinds", "runs"}; see measure.py."""

    def __init__(self, data):
        self.context, self.kinds, self.runs = data["context"], data["kinds"], data["runs"]
        self.names = list(self.context["libraries"])
        self.measured = [name for name in self.names if any(runs.get(name) for runs in self.runs.values())]
        known = [name for name in (REFERENCE, WITHOUT_PACKING) if name in self.measured]
        self.reference = (known or self.measured)[0]

    def cases(self, *kinds):
        return [case for case in self.runs if self.kinds[case] in kinds]

    def values(self, case, name, key):
        """One value a round; None where that run failed."""
        return [run.get(key) for run in self.runs[case].get(name, [])]

    def ratios(self, case, name, key, reference=None):
        """What `name` needs over what the reference needs, in each round."""
        pairs = zip(self.values(case, name, key), self.values(case, reference or self.reference, key))
        return [one / other for one, other in pairs if one and other]

    def ratio(self, case, name, key, reference=None):
        return median_and_spread(self.ratios(case, name, key, reference))[0]

    def mean_ratio(self, cases, name, key, reference=None):
        return geometric_mean([self.ratio(case, name, key, reference) for case in cases])

    def mean_ratio_over_empty(self, cases, name):
        """As mean_ratio() of peaks, less what the same program takes when it does nothing; and of how many."""
        ratios = []
        for case in cases:
            above = {who: self.peak_over_empty(case, who) for who in (name, self.reference)}
            if all(above.values()) and above[self.reference] >= BIG_ENOUGH:
                ratios.append(above[name] / above[self.reference])
        return geometric_mean(ratios), len(ratios)

    def peak_over_empty(self, case, name):
        peak, empty = (median_and_spread([value for value in self.values(which, name, "peak_bytes") if value])[0]
                       for which in (case, BASELINE))
        return peak - empty if peak and empty else None

    def errors(self):
        for case, by_name in self.runs.items():
            for name, runs in by_name.items():
                for error in sorted({run["error"] for run in runs if "error" in run}):
                    yield f"{name} failed in {case}: {error}"


def cell(value, spread=None):
    if value is None:
        return "-"
    digits = 0 if value >= 100 else 2 if value >= 0.1 else 3 if value >= 0.01 else 4
    return f"{value:.{digits}f}" + (f" ±{spread:.0f}" if spread is not None else "")


def label(results, case, key):
    """A case's name; where settled memory is shown, with what the program holds at that time."""
    live = [value for value in results.values(case, results.reference, "live_bytes") if value]
    return f"{case} ({live[0] / MIB:.1f} MiB live)" if key == "settled_bytes" and live else case


def block(results, title, unit, cases, key, scale):
    """Rows of one table: a heading, one row a case, and the geometric mean."""
    rows = [[title, f"{results.reference} {unit}"] + results.names]
    for case in cases:
        absolute = [value / scale for value in results.values(case, results.reference, key) if value]
        row = [label(results, case, key), cell(*median_and_spread(absolute))]
        for name in results.names:
            value, spread = median_and_spread(results.ratios(case, name, key))
            failed = any("error" in run for run in results.runs[case].get(name, []))
            row.append("fail" if failed else cell(value, None if name == results.reference else spread))
        rows.append(row)
    means = [cell(results.mean_ratio(cases, name, key)) for name in results.names]
    return rows + [["geometric mean", ""] + means]


def tables(results):
    timed, settled = results.cases("time"), results.cases("memory")
    every = timed + settled
    found = [block(results, "time", "ns", timed, "time", 1)] if timed else []
    if every:
        found.append(block(results, "peak memory", "MiB", every, "peak_bytes", MIB))
        above = [results.mean_ratio_over_empty(every, name)[0] for name in results.names]
        found[-1].append(["mean above the empty program", ""] + [cell(value) for value in above])
    if settled:
        found.append(block(results, "settled memory", "MiB", settled, "settled_bytes", MIB))
    return found


def bar(text, value, limit, versus, complete=True):
    if value is None:
        return f"{'not measured':12} {text}, at most {limit:.2f} x {versus}"
    verdict = "reached" if value <= limit and complete else "MISSED"
    return f"{verdict:12} {text}: {value:.3f} x {versus}, at most {limit:.2f}" + ("" if complete else "; runs failed")


def bars(results):
    """One line for each of Sinter's bars."""
    who, timed, every = "Sinter", results.cases("time"), results.cases("time", "memory")
    complete = not any(error.startswith(who) for error in results.errors())
    slow = sorted(((results.ratio(case, who, "time", REFERENCE) or 0, case) for case in timed), reverse=True)
    worst, worst_case = slow[0] if slow and slow[0][0] else (None, "none")
    lines = [bar(f"slowest case ({worst_case})", worst, 1.05, "jemalloc", complete)]
    lines += [f"{'':12}   above it: {case} {value:.2f}" for value, case in slow if value > 1.05]
    for versus, limit in ((REFERENCE, 0.85), ("mimalloc", 1.0)):
        mean = results.mean_ratio(timed, who, "time", versus)
        lines.append(bar(f"mean time of {len(timed)} cases", mean, limit, versus, complete))
    large = [case for case in timed if case.startswith(LARGE_BLOCKS)]
    lines.append(bar("repeated large blocks", results.mean_ratio(large, who, "time", "mimalloc"), 1.2, "mimalloc",
                     complete))
    mean = results.mean_ratio(every, who, "peak_bytes", REFERENCE)
    lines.append(bar(f"mean peak memory of {len(every)} cases", mean, 1.05, "jemalloc", complete))
    if WITHOUT_PACKING in results.measured:
        mean = results.mean_ratio(timed, who, "time", WITHOUT_PACKING)
        lines.append(bar(f"mean time of {len(timed)} cases", mean, 1.02, WITHOUT_PACKING, complete))
    if WITH_GUARD in results.measured:
        mean = results.mean_ratio(timed, WITH_GUARD, "time", who)
        lines.append(bar(f"mean time of {len(timed)} cases with guard mode", mean, 1.02, who, complete))
    return lines


def load_note(others):
    """A warning when the machine was not ours: rows with several threads suffer from it first."""
    taken = sum(others.values())
    kinds = " and ".join(f"{percent:.1f} % {name}" for name, percent in others.items())
    return f"CPU time taken by others: {kinds}" + ("; do not trust small differences." if taken > 3 else ".")


def notes(results):
    about = results.context
    lines = [f"{about['rounds']} interleaved rounds on {about['cpus']} CPUs ({about['machine']}, Linux"
             f" {about['kernel']}, huge pages: {about['huge_pages']}).",
             f"Ratios are to {results.reference} in the same round: median ±interquartile range in percent.",
             "Time is process CPU time with one thread, real time with several.",
             load_note(about["others_percent"])]
    lines += [f"{name} is missing: {reason}." for name, reason in about["missing"].items()]
    if results.reference != REFERENCE:
        lines.append(f"Without {REFERENCE}, ratios are to {results.reference}.")
    return lines + list(results.errors())


def as_text(results):
    found = tables(results)
    widths = [max(len(row[i]) for rows in found for row in rows) for i in range(2 + len(results.names))]
    lines = []
    for rows in found:
        for number, row in enumerate(rows):
            first, *rest = (text.ljust(width) if i == 0 else text.rjust(width)
                            for i, (text, width) in enumerate(zip(row, widths)))
            lines.append("  ".join([first] + rest).rstrip())
            if number == 0:
                lines.append("-" * len("  ".join([first] + rest)))
        lines.append("")
    return "\n".join(lines + notes(results) + [""] + bars(results)) + "\n"


def as_markdown(results):
    lines = []
    for rows in tables(results):
        rule = ["---"] + ["---:"] * (len(rows[0]) - 1)
        lines += ["| " + " | ".join(row) + " |" for row in [rows[0], rule] + rows[1:]] + [""]
    lines += notes(results) + ["", "```"] + bars(results) + ["```"]
    return "\n".join(lines) + "\n"
