"""The commands. `help sinter` lists them."""

import argparse
import struct

import gdb

from . import corefile, process
from .heap import CACHED, FREE, LIVE, bits, live_slots
from .leaks import find_leaks
from .memory import Trouble, try_read
from .pages import ASIDE, PACKED, RESIDENT, Pages
from .restore import automatic, restore


def say(text=""):
    gdb.write(text + "\n")


def evaluate(expression):
    return int(gdb.parse_and_eval(expression).cast(gdb.lookup_type("unsigned long")))


def plural(count, what):
    return f"{count} {what}{'' if count == 1 else 's'}"


class Parser(argparse.ArgumentParser):
    """Says what is wrong as gdb does, instead of ending it."""

    def error(self, message):
        raise Trouble(f"{message}; 'help {self.prog}'")


class Command(gdb.Command):
    """One subcommand: its name, its arguments, and run()."""

    name = ""

    def __init__(self):
        super().__init__("sinter " + self.name, gdb.COMMAND_DATA)
        self.parser = Parser(prog="sinter " + self.name, add_help=False)
        self.arguments(self.parser)

    def arguments(self, parser):
        pass

    def invoke(self, text, from_tty):
        self.dont_repeat()
        try:
            self.run(self.parser.parse_args(gdb.string_to_argv(text)))
        except gdb.MemoryError as error:
            raise Trouble(f"{error}; if it is a core dump: was the allocator's data left out of it?") from None
        except OSError as error:
            raise Trouble(str(error)) from None


class Sinter(gdb.Command):
    """Looks into the heap of the allocator Sinter, in a live process or a core dump."""

    def __init__(self):
        super().__init__("sinter", gdb.COMMAND_DATA, prefix=True)


class HeapCommand(Command):
    """Summary of the heap: what is allocated, by kind and by size class.

Usage: sinter heap

The figures are those of sinter_stats_get(), in bytes."""

    name = "heap"

    def run(self, args):
        pages = Pages()
        heap, layout = pages.heap, pages.heap.layout
        rows = class_rows(heap)
        small, cached = sum(r[1] * r[0] for r in rows), sum(r[2] * r[0] for r in rows)
        large, huge = list(heap.large_blocks()), list(heap.huge_blocks())
        guarded = list(heap.guarded_blocks())
        large_bytes, huge_bytes, guarded_bytes = (sum(size for _, size in b) for b in (large, huge, guarded))
        figures = [
            ("allocated", small + large_bytes + huge_bytes + guarded_bytes, "in blocks the program holds"),
            ("cached", cached, "free, in thread caches"),
            ("active", len(heap.spans) * heap.span_bytes + large_bytes + huge_bytes, "in spans and runs in use"),
            ("dirty", layout.value("decay_dirty_pages") * pages.page_bytes, "free, with memory behind it"),
            ("committed", heap.zone.committed + heap.region("RUNS").committed + huge_bytes, "address space for blocks"),
            ("huge", huge_bytes, f"in {plural(len(huge), 'mapping')}"),
            ("threads", layout.value("tcache_registry.threads"), "with a cache"),
            ("spans", len(heap.spans), f"of {heap.span_bytes // 1024} KiB in use"),
            ("runs", len(large), "in use"),
            ("aside", pages.count(ASIDE) * pages.page_bytes, plural(pages.count(ASIDE), "page")),
            ("packed", pages.count(PACKED) * pages.page_bytes, plural(pages.count(PACKED), "page")),
            ("store", layout.value("store.segments") * layout.constant("STORE_SEGMENT_BYTES"), "that they take"),
            ("guarded", guarded_bytes, f"in {plural(len(guarded), 'block')}"),
            ("quarantined", layout.value("guard.quarantined"), "address space of freed guarded blocks"),
        ]
        for name, value, text in figures:
            say(f"  {name:<12} {value:16}  {text}")
        for name, region in (("spans", heap.zone), ("runs", heap.region("RUNS")), ("guarded", heap.guard_zone)):
            if region.committed:
                say(f"  zone of {name:<8} {region.start:#x} - {region.start + region.committed:#x}")
        say(f"  {'class':>8} {'live':>10} {'cached':>8} {'free':>10} {'spans':>8} {'used':>5}")
        for size, live, cached_blocks, free, spans in rows:
            say(f"  {size:8} {live:10} {cached_blocks:8} {free:10} {spans:8} {live * 100 // (live + cached_blocks + free):4}%")
        if pages.away and not process.is_live():
            say(missing(pages))


def missing(pages):
    return (
        f"{plural(len(pages.away), 'page')} of the program's were packed or aside: gdb reads zeros there. The commands of "
        "'sinter' see what was on them; 'sinter fill-core FILE' writes a core dump that has them."
    )


def class_rows(heap):
    """Of each class in use: size, blocks live, cached, free, spans."""
    rows = {}
    for span in heap.spans.values():
        row = rows.setdefault(span.bin, [span.size, 0, 0, 0, 0])
        row[1] += bin(live_slots(span)).count("1")
        row[2] += bin(span.cached & ~span.free).count("1")
        row[3] += bin(span.free).count("1")
        row[4] += 1
    return [rows[number] for number in sorted(rows)]


class PageCommand(Command):
    """Where a page of the heap is, and what is on it.

Usage: sinter page ADDRESS"""

    name = "page"

    def arguments(self, parser):
        parser.add_argument("address", nargs="+")

    def run(self, args):
        address, pages = evaluate(" ".join(args.address)), Pages()
        heap = pages.heap
        if address not in heap.zone:
            block = heap.find(address)
            if block is None:
                raise Trouble(f"{address:#x} is not Sinter's")
            say(f"{address:#x}: {describe(block, address)}; its pages are always where they are")
            return
        page = pages.number(address)
        state = pages.state(page)
        if state == RESIDENT and page in pages.away:
            state = "resident, just being moved out"
        say(f"page {page} at {pages.address(page):#x}: {state}")
        self.tell_record(pages, page)
        if pages.span_of(page) is None:
            say("  in no span in use")
            return
        span, first, end = pages.slots_on(page)
        mask = (1 << end) - (1 << first)
        live, cached, free = (bin(m & mask).count("1") for m in (live_slots(span), span.cached & ~span.free, span.free))
        used = "" if span.populated >> page % pages.span_pages & 1 else ", no memory behind it"
        say(f"  page {page % pages.span_pages} of span {span.number} at {heap.span_start(span):#x}, class {span.size}{used}")
        say(f"  {plural(end - first, 'slot')} on it: {live} live, {cached} in thread caches, {free} free")

    @staticmethod
    def tell_record(pages, page):
        if pages.state(page) == PACKED:
            record = pages.record(page)
            what = f"{pages.record_bytes(page)} bytes at {record:#x} in the store" if record else "nothing kept of it"
            say(f"  {what}")
        if page < len(pages.table):
            heat = pages.table.get(page, "heat")
            if heat:
                say(f"  came back {plural(heat, 'time')} lately")


def describe(block, address):
    if block.size == 0:
        return f"no block ({block.state})"
    offset = address - block.start
    inside = f", byte {offset} of it" if 0 <= offset < block.size else f", {outside(block, address)}" if offset else ""
    where = f" ({block.where})" if block.where else ""
    return f"{block.kind} block at {block.start:#x}, {block.size} bytes, {block.state}{inside if offset else ''}{where}"


def outside(block, address):
    if address < block.start:
        return f"{plural(block.start - address, 'byte')} before it"
    return f"{plural(address - block.start - block.size + 1, 'byte')} beyond it"


class ObjectCommand(Command):
    """The block that an address lies in: start, size, and whether it is live.

Usage: sinter object ADDRESS

The address may point anywhere into the block. Of a guarded block, also where it was allocated and freed."""

    name = "object"

    def arguments(self, parser):
        parser.add_argument("address", nargs="+")

    def run(self, args):
        address, pages = evaluate(" ".join(args.address)), Pages()
        block = pages.heap.find(address)
        if block is None:
            say(f"{address:#x} is not Sinter's")
            return
        say(f"{address:#x}: {describe(block, address)}")
        if block.kind == "small":
            self.tell_pages(pages, block)
        if block.kind == "guarded":
            self.tell_events(pages.heap, pages.heap.guard_blame(address), block)

    @staticmethod
    def tell_pages(pages, block):
        first, last = pages.number(block.start), pages.number(block.start + block.size - 1)
        states = {pages.state(page) for page in range(first, last + 1)}
        if states != {RESIDENT}:
            say(f"  its {'pages are' if last > first else 'page is'} {' and '.join(sorted(states))}")

    @staticmethod
    def tell_events(heap, slot, block):
        for name in ("allocated",) if block.state == LIVE else ("allocated", "freed"):
            tell_event(heap, slot, name)


def tell_event(heap, slot, name):
    layout, frames_most = heap.layout, heap.layout.constant("GUARD_FRAMES")
    base = layout.offset("guard_slot." + name)
    data = heap.region("GUARD_INFO").read(slot * layout.constant("GUARD_INFO_BYTES") + base, layout.size("guard_event"))
    event = layout.table("guard_event", data)
    count = min(event.get(0, "stack.count"), frames_most)
    if event.get(0, "thread") == 0:
        return
    say(f"  {name} by thread {event.get(0, 'thread')}:")
    frames = struct.unpack_from(f"<{count}Q", data, layout.offset("guard_event.stack.frames"))
    for number, frame in enumerate(frames):
        # A return address is the instruction behind the call.
        say(f"    #{number} {frame:#x} {source_of(frame - 1)}".rstrip())


def source_of(pc):
    symbol = gdb.execute(f"info symbol {pc:#x}", to_string=True).strip()
    line = gdb.find_pc_line(pc)
    name = "" if symbol.startswith("No symbol") else symbol.split(" in section")[0]
    return f"{name} ({line.symtab.filename}:{line.line})" if line.symtab else name


class ExamineCommand(Command):
    """Memory in words, as x/gx shows it, with pages that are away as if they were here.

Usage: sinter x ADDRESS [COUNT]

COUNT is how many words of 8 bytes; by default those of the block that the address is in, at most 32."""

    name = "x"

    def arguments(self, parser):
        parser.add_argument("address")
        parser.add_argument("count", nargs="?")

    def run(self, args):
        address, pages = evaluate(args.address), Pages()
        count = evaluate(args.count) if args.count else self.words_left(pages, address)
        data = pages.read(address, count * 8)
        for at in range(0, len(data), 16):
            values = struct.unpack_from(f"<{min(16, len(data) - at) // 8}Q", data, at)
            say(f"{address + at:#x}:" + "".join(f" 0x{v:016x}" for v in values))

    @staticmethod
    def words_left(pages, address):
        block = pages.heap.find(address)
        left = block.start + block.size - address if block and block.size else 16
        return max(1, min(32, left // 8))


class WalkCommand(Command):
    """Lists blocks.

Usage: sinter walk [--class SIZE] [--state live|free|cached] [--kind small|large|huge|guarded] [--limit N]

By default all live blocks, at most 1000 (--limit 0: all). --class takes the size class that serves SIZE bytes. Each line is
address, size, state and kind; then one with the count and the bytes of all, listed or not."""

    name = "walk"
    states = {"live": LIVE, "free": FREE, "cached": CACHED}

    def arguments(self, parser):
        parser.add_argument("--class", dest="size")
        parser.add_argument("--state", choices=list(self.states), default="live")
        parser.add_argument("--kind", choices=["small", "large", "huge", "guarded"])
        parser.add_argument("--limit", default="1000")

    def run(self, args):
        heap, limit = Pages().heap, evaluate(args.limit)
        size = class_of(heap, evaluate(args.size)) if args.size else None
        count = total = 0
        for kind, start, bytes_of in self.blocks(heap, size, args):
            count += 1
            total += bytes_of
            if limit == 0 or count <= limit:
                say(f"{start:#x} {bytes_of:8} {args.state} {kind}")
        say(f"{plural(count, 'block')}, {total} bytes")

    def blocks(self, heap, size, args):
        if args.kind in (None, "small"):
            for span in heap.spans.values():
                if size in (None, span.size):
                    for start in heap.small_blocks(span, self.mask(span, args.state)):
                        yield "small", start, span.size
        if size is None and args.state == "live":
            others = (("large", heap.large_blocks()), ("huge", heap.huge_blocks()), ("guarded", heap.guarded_blocks()))
            for kind, blocks in others:
                if args.kind in (None, kind):
                    for start, bytes_of in blocks:
                        yield kind, start, bytes_of

    @staticmethod
    def mask(span, state):
        return {"live": live_slots(span), "free": span.free, "cached": span.cached & ~span.free}[state]


def class_of(heap, size):
    for class_size in heap.sizes[1:]:
        if size <= class_size:
            return class_size
    raise Trouble(f"the largest class is {heap.sizes[-1]} bytes")


class LeaksCommand(Command):
    """Live blocks that nothing points to.

Usage: sinter leaks [--samples N]

Follows every aligned word that may be a pointer into a block, from registers, stacks, variables and mappings of all modules
through the blocks. So a block that is listed is lost (unless its address is kept in another form); one that is not may be.
Of each size, N samples (default 3) with their first words."""

    name = "leaks"

    def arguments(self, parser):
        parser.add_argument("--samples", default="3")

    def run(self, args):
        pages, samples = Pages(), evaluate(args.samples)
        leaks = find_leaks(pages)
        count, total = sum(map(len, leaks.values())), sum(size * len(blocks) for size, blocks in leaks.items())
        if count == 0:
            say("no block is lost")
            return
        say(f"{plural(count, 'block')}, {total} bytes, to which nothing points")
        for size in sorted(leaks, key=lambda s: -s * len(leaks[s])):
            blocks = leaks[size]
            say(f"  {plural(len(blocks), 'block')} of {size} bytes, {size * len(blocks)} in all")
            for start in blocks[:samples]:
                say(f"    {start:#x}: {first_words(pages, start, size)}")


def first_words(pages, start, size):
    count = min(4, size // 8)
    try:
        data = pages.read(start, count * 8)
    except gdb.MemoryError:
        return "(cannot be read)"
    text = "".join(chr(c) if 32 <= c < 127 else "." for c in data)
    return " ".join(f"0x{v:016x}" for v in struct.unpack(f"<{count}Q", data)) + f" {text}"


class RestoreCommand(Command):
    """Brings all packed pages back, so that gdb can read and write them.

Usage: sinter restore

In a live process. Nothing is packed after that until the program calls sinter_compact()."""

    name = "restore"

    def run(self, args):
        count, how = restore()
        say(f"{plural(count, 'page')} brought back{how}" if count else "no page is away")


class AutoRestoreCommand(Command):
    """Whether packed pages come back by themselves when the process stops.

Usage: sinter auto-restore [on|off]"""

    name = "auto-restore"

    def arguments(self, parser):
        parser.add_argument("value", nargs="?", choices=["on", "off"])

    def run(self, args):
        if args.value is None:
            say(f"auto-restore is {'on' if automatic.enabled else 'off'}")
        else:
            automatic.enabled = args.value == "on"


class FillCoreCommand(Command):
    """Writes a copy of the core dump that has the packed pages in their places.

Usage: sinter fill-core FILE

What was on them is put together from the store, which is in the dump. Then: core-file FILE."""

    name = "fill-core"

    def arguments(self, parser):
        parser.add_argument("file")

    def run(self, args):
        filled, lacking = corefile.fill(Pages(), args.file)
        say(f"{args.file}: {plural(filled, 'page')} filled in; core-file {args.file}")
        if lacking:
            say(f"{plural(lacking, 'page')} not: the dump has no room for them, their mapping was left out")


def register():
    Sinter()
    for command in Command.__subclasses__():
        command()
