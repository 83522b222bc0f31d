"""Where the pages of spans are, and what is on those that are away: compactor/pages.h, store.h and pack.c."""

from .heap import Heap, bits
from .memory import read, read_pages, try_read

RESIDENT, ASIDE, PACKED = "resident", "aside", "packed"


class Pages:
    """The heap, with pages that are away seen as if they were there: from their shadow, or from the store."""

    def __init__(self, heap=None):
        self.heap = heap or Heap()
        layout = self.heap.layout
        self.page_bytes = layout.constant("PAGE_BYTES")
        self.span_pages = self.heap.span_bytes // self.page_bytes
        self.chunk_pages = layout.constant("CHUNK_BYTES") // self.page_bytes
        self._names = {layout.constant("PAGE_" + name.upper()): name for name in (RESIDENT, ASIDE, PACKED)}
        limit = layout.value("pages_limit")
        self.table = layout.table("page", self.heap.region("PAGE_INFO").read(0, limit * layout.size("page")))
        self.chunks = layout.table(
            "chunk", self.heap.region("CHUNK_INFO").read(0, limit // self.chunk_pages * layout.size("chunk"))
        )
        self.states = [self._names.get(state, RESIDENT) for state in self.table.column("state")]
        self.away = {page for page, state in enumerate(self.states) if state != RESIDENT}
        # Those that the mover is just moving out have only this mark.
        for span in self.heap.spans.values():
            self.away.update(span.number * self.span_pages + i for i in bits(span.away))
        self._store = self.heap.region("STORE").start
        self._shadow = self.heap.region("SHADOW").start

    def number(self, address):
        return (address - self.heap.zone.start) // self.page_bytes

    def address(self, page):
        return self.heap.zone.start + page * self.page_bytes

    def state(self, page):
        return self.states[page] if page < len(self.states) else RESIDENT

    def count(self, state):
        return self.states.count(state)

    def span_of(self, page):
        return self.heap.spans.get(page // self.span_pages)

    def slots_on(self, page):
        """The page's span, and the slots [first, end) of it that have a part on the page."""
        span = self.span_of(page)
        start = page % self.span_pages * self.page_bytes
        first = start // span.size
        end = min(-(-(start + self.page_bytes) // span.size), span.slots)
        return span, first, end

    # ---- what is on a page ----

    def contents(self, page):
        """As it is, or would be if it were brought back."""
        raw = try_read(self.address(page), self.page_bytes)
        if page not in self.away:
            return raw or bytes(self.page_bytes)
        # A page that is present is here, whatever is written down; but in a core dump one that is not reads as zeros.
        if raw and any(raw):
            return raw
        chunk = page // self.chunk_pages
        if self.state(page) != PACKED and chunk < len(self.chunks) and self.chunks.get(chunk, "shadow"):
            return read_pages(self._shadow + page * self.page_bytes, self.page_bytes)
        record = self.record(page)
        return self._unpack(page, record) if record else raw or bytes(self.page_bytes)

    def record(self, page):
        """Of a packed page: address of its record in the store; None if nothing of it is kept."""
        if self.state(page) != PACKED or not self.table.get(page, "record"):
            return None
        return self._store + self.table.get(page, "record") * self.heap.layout.constant("STORE_UNIT")

    def record_bytes(self, page):
        record = self.record(page)
        return self._record_field(record, "bytes") if record else 0

    def _record_field(self, record, name):
        layout = self.heap.layout
        at = record + layout.offset("store_record." + name)
        return int.from_bytes(read(at, layout.size("store_record." + name)), "little")

    def _unpack(self, page, record):
        """A bit for each slot with a part on the page, then the parts of those whose bits are set."""
        bin_number = self._record_field(record, "bin")
        data = read(
            record + self.heap.layout.offset("store_record.contents"), self._record_field(record, "bytes")
        )
        size, slots = self.heap.sizes[bin_number], self.heap.slots[bin_number]
        start = page % self.span_pages * self.page_bytes
        first, end = start // size, min(-(-(start + self.page_bytes) // size), slots)
        at = (end - first + 7) // 8
        kept = int.from_bytes(data[:at], "little")
        contents = bytearray(self.page_bytes)
        for index in bits(kept):
            low = max((first + index) * size, start) - start
            high = min((first + index + 1) * size, start + self.page_bytes) - start
            contents[low:high] = data[at : at + high - low]
            at += high - low
        return bytes(contents)

    # ---- reading through all this ----

    def read(self, address, size):
        """As memory.read(), with pages that are away as if they were here."""
        heap = self.heap
        if address not in heap.zone or address + size not in heap.zone:
            return read(address, size)
        parts, end = [], address + size
        while address < end:
            page = self.number(address)
            stop = min(self.address(page + 1), end)
            if page in self.away:
                offset = address - self.address(page)
                parts.append(self.contents(page)[offset : offset + stop - address])
            else:
                while stop < end and self.number(stop) not in self.away:
                    stop = min(stop + self.page_bytes, end)
                parts.append(read_pages(address, stop - address))
            address = stop
        return b"".join(parts)

    def read_span(self, span):
        return self.read(self.heap.span_start(span), self.heap.span_bytes)
