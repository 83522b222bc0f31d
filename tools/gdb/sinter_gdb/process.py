"""What gdb looks at: a live process or a core dump, its mappings and its threads."""

import os
import re
import struct
from collections import namedtuple

import gdb

from .memory import Trouble

Mapping = namedtuple("Mapping", "start end writable path")
Segment = namedtuple("Segment", "offset address file_bytes bytes flags")


def core_path():
    """The file of the core dump; None if a process is looked at."""
    match = re.search(r"core dump file:\s*`(.*)', file type", gdb.execute("info files", to_string=True))
    return match.group(1) if match else None


def is_live():
    inferior = gdb.selected_inferior()
    return inferior.pid != 0 and bool(inferior.threads()) and core_path() is None


def local_pid():
    """The number under which /proc has the process; None if it is a core dump or on another machine."""
    pid = gdb.selected_inferior().pid
    connection = getattr(gdb.selected_inferior(), "connection", None)
    if is_live() and (connection is None or connection.type == "native") and os.path.exists(f"/proc/{pid}/maps"):
        return pid
    return None


def core_segments(path):
    """PT_LOAD of a 64-bit core dump."""
    with open(path, "rb") as f:
        header = struct.unpack("<16sHHIQQQIHHHHHH", f.read(64))
        if header[0][:5] != b"\x7fELF\x02":
            raise Trouble(f"{path} is not a 64-bit ELF file")
        offset, entry, count = header[5], header[9], header[10]
        if count == 0xFFFF:  # PN_XNUM: the number is in the first section header
            count = _section_info(f, header[6])
        for i in range(count):
            f.seek(offset + i * entry)
            kind, flags, at, address, _, in_file, size, _ = struct.unpack("<IIQQQQQQ", f.read(56))
            if kind == 1:
                yield Segment(at, address, in_file, size, flags)


def _section_info(f, offset):
    f.seek(offset)
    return struct.unpack("<IIQQQQIIQQ", f.read(64))[7]


def mappings():
    """Of the whole process, as far as they can be known, in order."""
    core = core_path()
    if core:
        return sorted(
            Mapping(s.address, s.address + s.file_bytes, bool(s.flags & 2), "")
            for s in core_segments(core)
            if s.file_bytes
        )
    pid = local_pid()
    if pid is None:
        return sorted(_told_mappings())
    with open(f"/proc/{pid}/maps") as f:
        return sorted(_parse(line) for line in f)


def _parse(line):
    fields = line.split(None, 5)
    start, end = (int(part, 16) for part in fields[0].split("-"))
    return Mapping(start, end, fields[1][:2] == "rw", fields[5].strip() if len(fields) > 5 else "")


def _told_mappings():
    """By gdb, of a process on another machine."""
    for line in gdb.execute("info proc mappings", to_string=True).splitlines():
        match = re.match(r"\s*0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+0x[0-9a-f]+\s+0x[0-9a-f]+\s+(rw)\S*\s*(.*)", line)
        if match:
            yield Mapping(int(match[1], 16), int(match[2], 16), True, match[4])


# A thread: its stack pointer, the address of its own variables, the values of its general registers.
Registers = namedtuple("Registers", "sp thread values")


def registers():
    """Of each thread. The selected one stays selected."""
    selected, found = gdb.selected_thread(), []
    try:
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            found.append(_registers_here())
    finally:
        if selected is not None:
            selected.switch()
    return found


def _registers_here():
    frame = gdb.newest_frame()
    values = {}
    for register in frame.architecture().registers("general"):
        try:
            values[register.name] = int(frame.read_register(register.name)) & (1 << 64) - 1
        except (gdb.error, TypeError, ValueError):
            pass  # not an integer, or not known
    sp = int(frame.read_register("sp")) & (1 << 64) - 1
    return Registers(sp, values.get("fs_base", values.get("tpidr")), list(values.values()))


def main_stack():
    """An address at the top of the first thread's stack; None if that is not known."""
    match = re.search(r"AT_RANDOM.*(0x[0-9a-f]+)", gdb.execute("info auxv", to_string=True))
    return int(match.group(1), 16) if match else None


class Present:
    """Which pages of a process on this machine have memory: what does not need to be read."""

    def __init__(self):
        pid = local_pid()
        try:
            self._file = open(f"/proc/{pid}/pagemap", "rb", buffering=0) if pid else None
        except OSError:
            self._file = None

    def any(self, start, end):
        if self._file is None:
            return True
        self._file.seek(start // 4096 * 8)
        data = self._file.read((end - start) // 4096 * 8)
        if not data:
            return True
        return any(entry >> 62 for entry in memoryview(data).cast("Q"))
