"""gdb commands for the allocator Sinter. sinter-gdb.py loads it."""

import gdb

if tuple(int(n) for n in gdb.VERSION.split(".")[:1]) < (9,):
    raise gdb.GdbError("the commands for Sinter need gdb 9 or newer")

from .commands import register  # noqa: E402
