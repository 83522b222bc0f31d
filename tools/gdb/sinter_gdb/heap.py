"""Sinter's heap as its tables describe it: spans, runs, mappings, guarded slots, thread caches."""

import bisect
from collections import namedtuple

from .layout import Layout, Table
from .memory import Trouble, read, u64

LIVE, FREE, CACHED = "live", "free", "in a thread cache"

# What lies at an address. `kind`: "small", "large", "huge", "guarded" for blocks, otherwise a place that is none.
Block = namedtuple("Block", "kind start size state where", defaults=("",))

Span = namedtuple("Span", "number bin size slots free cached populated away")


def live_slots(span):
    """A bit for each slot that the program holds."""
    return ((1 << span.slots) - 1) & ~span.free & ~span.cached


def bits(mask):
    """The numbers of the bits that are set."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Region:
    def __init__(self, start, committed):
        self.start, self.committed = start, committed

    def __contains__(self, address):
        return self.start <= address < self.start + self.committed

    def read(self, offset, size):
        return read(self.start + offset, min(size, max(self.committed - offset, 0)))


class Heap:
    def __init__(self):
        self.layout = Layout()
        if not self.layout.value("arena_base"):
            raise Trouble("the allocator has not been used yet")
        self._read_regions()
        self._read_classes()
        self._read_caches()
        self._read_spans()
        self._read_runs()
        self._read_huge()
        self._read_guard()

    # ---- reading ----

    def _read_regions(self):
        layout = self.layout
        starts = layout.array("arena_starts")
        table = layout.table("region", read(layout.address("arena.regions"), layout.size("arena.regions")))
        self.regions = [Region(s, c) for s, c in zip(starts, table.column("committed"))]
        self.arena = [(s, s + limit) for s, limit in zip(starts, table.column("limit"))]

    def region(self, name):
        return self.regions[self.layout.constant("REGION_" + name)]

    def _read_classes(self):
        layout = self.layout
        table = layout.table("sizeclass", read(layout.address("sizeclass_table"), layout.size("sizeclass_table")))
        self.sizes, self.slots = table.column("size"), table.column("slots")

    def _chain(self, first):
        address = self.layout.value(first)
        while address:
            yield address
            address = u64(address + self.layout.offset("tcache.next"))

    def _read_caches(self):
        """The pointers in all thread caches, by class, and what memory these caches take."""
        self.cached_pointers = [[] for _ in self.sizes]
        self.cache_memory = []
        for name in ("tcache_registry.first", "tcache_registry.orphans"):
            for cache in self._chain(name):
                self._read_cache(cache)

    def _read_cache(self, cache):
        layout = self.layout
        data = read(cache, layout.size("tcache"))
        self.cache_memory.append((cache, len(data)))
        bins = Table(layout, "tcache_bin", data[layout.offset("tcache.bins") :])
        stacks = Table(layout, "stack", data[layout.offset("tcache.stacks") :])
        for number in range(1, len(self.sizes)):
            slots = stacks.get(number, "slots")
            if slots == 0:
                continue
            self.cache_memory.append((slots, 8 << stacks.get(number, "bits")))
            bottom, top = slots + 8, bins.get(number, "top")
            if bottom < top <= sum(self.cache_memory[-1]):
                held = memoryview(read(bottom, top - bottom)).cast("Q")
                self.cached_pointers[number].extend(p for p in held if p)

    def _read_spans(self):
        layout = self.layout
        self.span_bytes = layout.constant("SPAN_BYTES")
        self.zone = self.region("SPANS")
        frontier = layout.value("pool.frontier")
        table = layout.table("span", self.region("SPAN_INFO").read(0, frontier * layout.size("span")))
        in_use = layout.constant("SPAN_IN_USE")
        cached = self._cached_slots()
        self._first_bits, self._more_bits = self._bitmaps(frontier)
        self._held_bytes = layout.constant("SPAN_HELD_BYTES")
        self._held_bits = self.region("SPAN_HELD").read(0, frontier * self._held_bytes)
        self.spans = {}
        for number, state in enumerate(table.column("state")):
            if state != in_use:
                continue
            bin_number = table.get(number, "bin")
            self.spans[number] = Span(
                number,
                bin_number,
                self.sizes[bin_number],
                self.slots[bin_number],
                self._free_slots(number, self.slots[bin_number]),
                cached.get(number, 0),
                table.get(number, "populated"),
                table.get(number, "away"),
            )

    def _cached_slots(self):
        found = {}
        for bin_number, pointers in enumerate(self.cached_pointers):
            for p in pointers:
                span, offset = divmod(p - self.zone.start, self.span_bytes)
                found[span] = found.get(span, 0) | 1 << offset // self.sizes[bin_number]
        return found

    def _bitmaps(self, frontier):
        first, more = self.layout.constant("SPAN_BITS_BYTES"), self.layout.constant("SPAN_MORE_BYTES")
        return (
            (self.region("SPAN_BITS").read(0, frontier * first), first),
            (self.region("SPAN_MORE").read(0, frontier * more), more),
        )

    def _free_slots(self, number, slots):
        (first, first_bytes), (more, more_bytes) = self._first_bits, self._more_bits
        data = first[number * first_bytes : (number + 1) * first_bytes]
        if slots > first_bytes * 8:
            data += more[number * more_bytes : (number + 1) * more_bytes]
        held = self._held_bits[number * self._held_bytes : (number + 1) * self._held_bytes]  # in quarantine
        free = int.from_bytes(data, "little") | int.from_bytes(held, "little")
        return free & ((1 << slots) - 1)

    def _read_runs(self):
        """Runs of the zone in the order of their addresses: first page, pages, live."""
        layout = self.layout
        frontier = layout.value("zone.frontier")
        stride, pages_at = layout.size("run"), layout.offset("run.pages")
        state_at = layout.offset("run.state")
        live, inside = layout.constant("RUN_LIVE"), layout.constant("RUN_NONE")
        data = self.region("RUN_INFO").read(0, frontier * stride)
        self.runs, page = [], 1
        while page < frontier:
            at = page * stride
            pages = int.from_bytes(data[at + pages_at : at + pages_at + 4], "little")
            if data[at + state_at] == inside or pages == 0:  # somebody is at work here just now
                page += 1
                continue
            self.runs.append((page, pages, data[at + state_at] == live))
            page += pages
        self._run_pages = [page for page, _, _ in self.runs]

    def _read_huge(self):
        layout = self.layout
        self.huge_table = (layout.value("huge.table"), layout.value("huge.size") * layout.size("mapping"))
        table = layout.table("mapping", read(*self.huge_table))
        self.huge = sorted(
            (table.get(i, "start"), table.get(i, "bytes"), table.get(i, "kept") == 0)
            for i in range(len(table))
            if table.get(i, "start")
        )
        self._huge_starts = [start for start, _, _ in self.huge]

    def _read_guard(self):
        layout = self.layout
        self.guard_zone = self.region("GUARD")
        chunks = layout.value("guard.chunks")
        self.guard_bits = read(layout.address("chunk_bits"), chunks)
        self.guard_chunk_slots = layout.constant("CHUNK_BYTES") // layout.constant("PAGE_BYTES") // 2
        stride = layout.constant("GUARD_INFO_BYTES")
        data = self.region("GUARD_INFO").read(0, chunks * self.guard_chunk_slots * stride)
        self.guards = Table(layout, "guard_slot", data, stride)

    # ---- walking ----

    def span_start(self, span):
        return self.zone.start + span.number * self.span_bytes

    def small_blocks(self, span, mask):
        start = self.span_start(span)
        return (start + slot * span.size for slot in bits(mask))

    def large_blocks(self):
        """Live runs: start, size."""
        start, page_bytes = self.region("RUNS").start, self.layout.constant("PAGE_BYTES")
        return ((start + page * page_bytes, pages * page_bytes) for page, pages, live in self.runs if live)

    def huge_blocks(self):
        return ((start, size) for start, size, live in self.huge if live)

    def guarded_slots(self):
        """Numbers of slots that are live, and of those of which the block is known though it is not."""
        per_chunk, chunk_pages = self.guard_chunk_slots, 2 * self.guard_chunk_slots
        for chunk, log in enumerate(self.guard_bits):
            for index in range(chunk_pages >> log if log else 0):
                if self.guards.get(chunk * per_chunk + index, "start"):
                    yield chunk * per_chunk + index

    def guarded_blocks(self):
        for slot in self.guarded_slots():
            if self._is_guard_live(slot):
                yield self.guards.get(slot, "start"), self.guards.get(slot, "size")

    # ---- looking up ----

    def find(self, address):
        """What lies at the address; None if it is not Sinter's."""
        if address in self.zone:
            return self._find_small(address)
        if address in self.region("RUNS"):
            return self._find_large(address)
        if address in self.guard_zone:
            return self._find_guarded(address)
        i = bisect.bisect_right(self._huge_starts, address) - 1
        if i >= 0:
            start, size, live = self.huge[i]
            if address < start + size:
                return Block("huge", start, size, LIVE if live else FREE)
        if any(start <= address < end for start, end in self.arena):
            return Block("table", address, 0, "the allocator's own")
        return None

    def slot_state(self, span, slot):
        if span.free >> slot & 1:
            return FREE
        return CACHED if span.cached >> slot & 1 else LIVE

    def _find_small(self, address):
        number, offset = divmod(address - self.zone.start, self.span_bytes)
        span = self.spans.get(number)
        if span is None:
            return Block("no span", address, 0, "span zone, in no span in use")
        slot = offset // span.size
        if slot >= span.slots:
            return Block("waste", address, 0, f"behind the last slot of span {number}")
        where = f"slot {slot} of {span.slots} in span {number}"
        return Block("small", self.span_start(span) + slot * span.size, span.size, self.slot_state(span, slot), where)

    def _find_large(self, address):
        zone, page_bytes = self.region("RUNS"), self.layout.constant("PAGE_BYTES")
        number = (address - zone.start) // page_bytes
        i = bisect.bisect_right(self._run_pages, number) - 1
        if i < 0 or number >= self.runs[i][0] + self.runs[i][1]:
            return Block("no run", address, 0, "run zone, in no run")
        page, pages, live = self.runs[i]
        return Block("large", zone.start + page * page_bytes, pages * page_bytes, LIVE if live else FREE)

    def guard_slot_at(self, address):
        """Number of the guarded slot, None if there is none yet."""
        chunk, offset = divmod(address - self.guard_zone.start, self.layout.constant("CHUNK_BYTES"))
        if chunk >= len(self.guard_bits) or not self.guard_bits[chunk]:
            return None
        return chunk * self.guard_chunk_slots + offset // (self.layout.constant("PAGE_BYTES") << self.guard_bits[chunk])

    def guard_blame(self, address):
        """The slot whose block the address belongs to or is nearest to: of its own slot and its neighbours'. None if none is."""
        slot, page_bytes = self.guard_slot_at(address), self.layout.constant("PAGE_BYTES")
        if slot is not None and self._is_on_pages(slot, address):
            return slot
        near = {slot} | {self.guard_slot_at(a) for a in (address - page_bytes, self._guard_slot_end(address))}
        near = [s for s in near if s is not None and self.guards.get(s, "start")]
        return min(near, key=lambda s: (not self._is_guard_live(s), self._guard_distance(s, address)), default=None)

    def _is_on_pages(self, slot, address):
        start, size = self.guards.get(slot, "start"), self.guards.get(slot, "size")
        page_bytes = self.layout.constant("PAGE_BYTES")
        return start != 0 and start // page_bytes <= address // page_bytes <= (start + size - 1) // page_bytes

    def _guard_slot_end(self, address):
        chunk, offset = divmod(address - self.guard_zone.start, self.layout.constant("CHUNK_BYTES"))
        size = self.layout.constant("PAGE_BYTES") << self.guard_bits[chunk] if chunk < len(self.guard_bits) else 1
        return address - offset % size + size

    def _is_guard_live(self, slot):
        return self.guards.get(slot, "state") == self.layout.constant("GUARD_LIVE")

    def _guard_distance(self, slot, address):
        start, size = self.guards.get(slot, "start"), self.guards.get(slot, "size")
        return start - address if address < start else max(0, address - start - size + 1)

    def _find_guarded(self, address):
        slot = self.guard_blame(address)
        if slot is None:
            return Block("no slot", address, 0, "guard zone, in a slot that was never used")
        state = self.guards.get(slot, "state")
        names = {self.layout.constant("GUARD_" + n): n.lower() for n in ("LIVE", "QUARANTINED", "CLOSING", "OPENING")}
        text = LIVE if self._is_guard_live(slot) else FREE
        if state in names and text == FREE:
            text = f"{FREE}, {names[state]}"
        return Block("guarded", self.guards.get(slot, "start"), self.guards.get(slot, "size"), text, f"slot {slot}")
