"""Live blocks that nothing points to: a conservative walk from registers, stacks, variables and mappings."""

from collections import defaultdict

from . import process
from .heap import bits, live_slots
from .memory import Trouble, try_read, words

STEP = 1 << 21
RED_ZONE = 128  # below the stack pointer, and in use


class Walk:
    """Marks what is reached. Blocks that are not are what `unreached()` gives."""

    def __init__(self, pages):
        self.pages, self.heap = pages, pages.heap
        heap = self.heap
        self._span_bytes, self._zone = heap.span_bytes, heap.zone.start
        self._left = {number: live_slots(span) for number, span in heap.spans.items()}  # not reached yet
        self._found = defaultdict(int)  # reached, contents not looked at yet
        others = [("large", b) for b in heap.large_blocks()]
        others += [("huge", b) for b in heap.huge_blocks()] + [("guarded", b) for b in heap.guarded_blocks()]
        self._others_left = {start: (kind, size) for kind, (start, size) in others}
        self._others_found = []
        lows = [start for start, _ in heap.arena] + [start for start, _ in heap.huge_blocks()]
        highs = [end for _, end in heap.arena] + [start + size for start, size in heap.huge_blocks()]
        self._low, self._high = min(lows), max(highs)

    # ---- marking ----

    def look_at(self, values):
        """Marks what any of these words points into."""
        low, high = self._low, self._high
        for value in {v for v in values if low <= v < high}:
            self._reach(value)

    def _reach(self, value):
        number, offset = divmod(value - self._zone, self._span_bytes)
        left = self._left.get(number)
        if left is not None:
            slot = 1 << offset // self.heap.spans[number].size
            if left & slot:
                self._left[number] = left ^ slot
                self._found[number] |= slot
            return
        block = self.heap.find(value)
        if block is None or not block.start <= value < block.start + block.size:
            return
        if self._others_left.pop(block.start, None):
            self._others_found.append((block.start, block.size))

    def follow(self):
        """Goes on until everything that was reached has been looked at, span by span."""
        while self._found or self._others_found:
            if self._others_found:
                self._look_at_memory(*self._others_found.pop())
                continue
            number, mask = self._found.popitem()
            span = self.heap.spans[number]
            data = words(self.pages.read_span(span))
            size = span.size // 8
            for slot in bits(mask):
                self.look_at(data[slot * size : (slot + 1) * size])

    def _look_at_memory(self, start, size, present=None):
        for at in range(start, start + size, STEP):
            end = min(at + STEP, start + size)
            if present is not None and not present.any(at, end):
                continue
            data = try_read(at, end - at)
            if data is not None:
                self.look_at(words(data))
            elif end - at > 4096:
                for page in range(at, end, 4096):
                    self.look_at(words(try_read(page, min(4096, end - page)) or b""))

    # ---- roots ----

    def from_roots(self):
        stacks = list(self._own_stacks())
        own = sorted(stacks + list(self._own_memory()))
        threads = [t for t in process.registers() if not any(low <= t.sp < high for low, high in stacks)]
        for thread in threads:
            self.look_at(thread.values)
        present = process.Present()
        for start, end in root_ranges(process.mappings(), threads, process.main_stack()):
            for low, high in without(start, end, own):
                self._look_at_memory(low, high - low, present)
        self.follow()

    def _own_stacks(self):
        """Of Sinter's own threads."""
        layout = self.heap.layout
        for name in ("thread.raw.memory", "idle_poll.helper.memory"):
            if layout.value(name):
                yield layout.value(name), layout.value(name) + layout.constant("RAW_THREAD_BYTES")

    def _own_memory(self):
        """Where Sinter itself keeps pointers to blocks, which do not count."""
        heap, layout = self.heap, self.heap.layout
        yield from heap.arena
        for start, size in heap.cache_memory + [heap.huge_table]:
            yield start, start + size
        for start, size, _ in heap.huge:
            yield start, start + size
        yield from self._free_metadata()
        for mapping in process.mappings():
            if mapping.start <= layout.places < mapping.end:
                yield mapping.start, layout.address("_end")

    def _free_metadata(self):
        """Blocks that thread caches were in once."""
        layout = self.heap.layout
        next_at, least = layout.offset("free_block.next"), layout.constant("META_LEAST_BITS")
        for kind, block in enumerate(layout.array("meta.lists")):
            while block:
                yield block, block + (1 << kind + least)
                data = try_read(block + next_at, 8)
                block = int.from_bytes(data, "little") if data else 0

    # ---- results ----

    def unreached(self):
        """size of the class -> addresses of the blocks, for small ones; the same by their sizes for the others."""
        found = defaultdict(list)
        for number, left in self._left.items():
            span = self.heap.spans[number]
            if left:
                found[span.size].extend(self.heap.small_blocks(span, left))
        for start, (_, size) in self._others_left.items():
            found[size].append(start)
        return {size: sorted(blocks) for size, blocks in found.items()}


def root_ranges(mappings, threads, main_stack):
    """
    Writable memory; of threads' stacks, what lies above the stack pointer. A stack is known by what stands at its top: the
    thread's own variables, or what the kernel has put there. Others (of coroutines, say) may have frames anywhere.
    """
    for mapping in mappings:
        if not mapping.writable or (mapping.path.startswith("/dev/") and not mapping.path.startswith("/dev/shm/")):
            continue
        tops = [t.sp for t in threads if _is_stack_of(t, mapping, main_stack)]
        start = max(mapping.start, (min(tops) - RED_ZONE) & -8) if tops else mapping.start
        yield start, mapping.end


def _is_stack_of(thread, mapping, main_stack):
    tops = [top for top in (thread.thread, main_stack) if top is not None]
    return mapping.start <= thread.sp and any(thread.sp < top < mapping.end for top in tops)


def without(start, end, holes):
    """What [start, end) has beside `holes`, which are sorted."""
    for low, high in holes:
        if high <= start or low >= end:
            continue
        if low > start:
            yield start, low
        start = max(start, high)
        if start >= end:
            return
    if start < end:
        yield start, end


def find_leaks(pages):
    walk = Walk(pages)
    try:
        walk.from_roots()
    except OSError as error:
        raise Trouble(f"cannot read the mappings: {error}") from None
    return walk.unreached()
