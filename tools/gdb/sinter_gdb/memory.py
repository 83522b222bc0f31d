"""Reading the memory of the process or core dump that gdb looks at."""

import struct

import gdb

PAGE = 4096


class Trouble(gdb.GdbError):
    """What a user is told in one line."""


def read(address, size):
    """The bytes there. gdb.MemoryError if any of them cannot be read."""
    if size == 0:
        return b""
    return bytes(gdb.selected_inferior().read_memory(address, size))


def try_read(address, size):
    try:
        return read(address, size)
    except gdb.MemoryError:
        return None


def read_pages(address, size):
    """As read(), with zeros for whole pages that cannot be read."""
    whole = try_read(address, size)
    if whole is not None:
        return whole
    parts = []
    end = address + size
    while address < end:
        step = min(PAGE - address % PAGE, end - address)
        parts.append(try_read(address, step) or bytes(step))
        address += step
    return b"".join(parts)


def u64(address):
    return struct.unpack("<Q", read(address, 8))[0]


def words(data):
    """The aligned 64-bit words of a bytes-like object."""
    return memoryview(data)[: len(data) // 8 * 8].cast("Q")
