"""What allocators say to the same mistakes: prints a table in Markdown. make guard-table calls it."""

import argparse
import glob
import os
import re
import signal
import subprocess
import sys
import textwrap

# The case of guard-death, what the table calls it, and what guard mode needs to be told to find it at once.
MISTAKES = [
    ("overflow-write", "write 1 byte beyond", "guard_place:end"),
    ("overflow-read", "read 1 byte beyond", "guard_place:end"),
    ("overflow-page", "write a page beyond", "guard_place:end"),
    ("overflow-memcpy", "`memcpy` of 100 bytes into 64", "guard_place:end"),
    ("overflow-padding", "write 1 byte beyond 13, then free", "guard_place:end"),
    ("underflow-write", "write 1 byte before", "guard_place:start"),
    ("write-after-free", "write after free", ""),
    ("read-after-free", "read after free", ""),
    ("system-call-after-free", "`write` of a freed buffer", ""),
    ("system-call-overflow", "`read` of 100 bytes into 64", "guard_place:end"),
    ("double-free", "double free", ""),
    ("realloc-after-free", "`realloc` after free", ""),
    ("free-interior", "free of byte 16 of a block", ""),
    ("free-stack", "free of stack memory", ""),
    ("free-static", "free of static memory", ""),
    ("free-foreign", "free of a mapping", ""),
    ("wrong-size-delete", "C++ sized `delete`, wrong size", ""),
]

RUNS = 20

PATTERNS = {
    "jemalloc": ["/usr/lib/*/libjemalloc.so.2", "/usr/lib*/libjemalloc.so.2"],
    "mimalloc": ["/usr/lib/*/libmimalloc.so.2", "/usr/lib*/libmimalloc.so.2"],
    "mimalloc-secure": ["/usr/lib/*/libmimalloc-secure.so*", "/usr/lib*/libmimalloc-secure.so*"],
}


def find(patterns):
    for pattern in patterns:
        paths = sorted(glob.glob(pattern))
        if paths:
            return paths[0]
    return None


def run(program, case, library, conf):
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_PRELOAD", "SINTER_CONF")}
    environment["SINTER_CONF"] = conf
    environment["MIMALLOC_SHOW_ERRORS"] = "1"
    if library:
        environment["LD_PRELOAD"] = library
    command = ["timeout", "-s", "KILL", "20", program, "--child", case]
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", check=False)


def short(line, block):
    """Addresses from the block on, as B; others as an ellipsis. Without the name of who speaks."""
    def replace(match):
        offset = int(match.group(0), 16) - block
        if abs(offset) >= 1 << 24:
            return "0x…"
        return "B" if offset == 0 else f"B{offset:+d}"
    line = re.sub(r"0x[0-9a-f]+", replace, line)
    return re.sub(r"^(sinter|<jemalloc>|mimalloc): ", "", line).replace("|", "\\|").strip()


def ending(code):
    """`timeout` ends as the program ended."""
    if code < 0 or code > 128:
        return signal.Signals(-code if code < 0 else code - 128).name
    return f"status {code}" if code else ""


def outcome(result):
    """How it ended, and the first line that the allocator said."""
    told = result.stdout.split()
    block = int(told[-1], 16) if told else 0
    said = [line for line in result.stderr.splitlines() if line and not line.startswith("the call: ")]
    words = textwrap.shorten(short(said[0], block), 120, placeholder=" …") if said else ""
    return ": ".join(part for part in (ending(result.returncode), words) if part) or "nothing"


def outcomes(program, case, library, conf):
    """Undefined behaviour may depend on where things happen to lie: all that came of some runs."""
    return " or ".join(sorted({outcome(run(program, case, library, conf)) for _ in range(RUNS)}))


def columns(options):
    yield "guard mode", options.sinter, "guard:all"
    yield "Sinter without", options.sinter, ""
    yield "glibc", None, ""
    for name, patterns in PATTERNS.items():
        path = dict(options.allocator).get(name, find(patterns))
        if path:
            yield name, path, ""


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True, help="tests/guard-death")
    parser.add_argument("--sinter", required=True, help="libsinter.so")
    parser.add_argument("--allocator", action="append", default=[], metavar="NAME=PATH",
                        type=lambda text: text.split("=", 1), help="another library, or another place of one")
    return parser.parse_args(argv)


def main(argv):
    options = parse(argv)
    shown = list(columns(options))
    print("| mistake | " + " | ".join(name for name, _, _ in shown) + " |")
    print("|---|" + "---|" * len(shown))
    for case, text, place in MISTAKES:
        cells = []
        for _, library, conf in shown:
            both = ",".join(part for part in (conf, place) if part) if conf else ""
            cells.append(outcomes(options.program, case, library, both))
        print(f"| {text} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
