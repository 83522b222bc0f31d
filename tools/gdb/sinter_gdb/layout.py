"""The table `sinter_layout` of the library (alloc/layout.h): names and values of what this package reads."""

import struct

import gdb

from .memory import Trouble, read

VERSION = 1
HEADER = struct.Struct("<8sII4Q")
ENTRY = struct.Struct("<32sQQ")


def _symbol():
    try:
        return int(gdb.parse_and_eval("(unsigned long) &sinter_layout"))
    except gdb.error:
        raise Trouble("this process does not have Sinter, or one older than this script") from None


class Layout:
    """Fields, constants and addresses by the names that they have in the source."""

    def __init__(self):
        if not gdb.selected_inferior().threads():
            raise Trouble("no process and no core dump to look at")
        header = HEADER.unpack(read(_symbol(), HEADER.size))
        magic, version, entry_bytes = header[:3]
        if magic.rstrip(b"\0") != b"sinter" or entry_bytes != ENTRY.size or version != VERSION:
            raise Trouble("this script is not of the same version as the library in the process")
        self.places = header[5]  # among the library's variables
        self._entries = {}
        for start, end in (header[3:5], header[5:7]):
            for name, value, size in ENTRY.iter_unpack(read(start, end - start)):
                self._entries[name.rstrip(b"\0").decode()] = (value, size)

    def _entry(self, name):
        try:
            return self._entries[name]
        except KeyError:
            raise Trouble(f"the library in the process does not tell where '{name}' is") from None

    def constant(self, name):
        return self._entry(name)[0]

    address = constant
    offset = constant

    def size(self, name):
        return self._entry(name)[1]

    def value(self, name):
        """Of an integer variable."""
        address, size = self._entry(name)
        return int.from_bytes(read(address, size), "little")

    def array(self, name):
        """Of a variable that is an array of 64-bit words."""
        address, size = self._entry(name)
        return struct.unpack(f"<{size // 8}Q", read(address, size))

    def table(self, type_name, data):
        return Table(self, type_name, data)


class Table:
    """Structures one behind the other."""

    def __init__(self, layout, type_name, data, stride=None):
        self._layout, self._type, self._data = layout, type_name, data
        self._stride = stride or layout.size(type_name)
        self._fields = {}

    def __len__(self):
        return len(self._data) // self._stride

    def _field(self, name):
        if name not in self._fields:
            self._fields[name] = self._layout._entry(f"{self._type}.{name}")
        return self._fields[name]

    def get(self, index, name):
        """An unsigned integer field of the structure with that index."""
        offset, size = self._field(name)
        at = index * self._stride + offset
        return int.from_bytes(self._data[at : at + size], "little")

    def column(self, name):
        return [self.get(i, name) for i in range(len(self))]
