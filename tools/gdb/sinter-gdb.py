# Loads the commands `sinter ...` into gdb: "source .../sinter-gdb.py", or by itself with the library, as whose
# auto-load script (libsinter.so.X.Y.Z-gdb.py) it is installed. docs/debugging.md describes them.

import os
import sys


def _package_directory():
    """Beside this file, or in share/sinter/gdb when this file is in share/gdb/auto-load/..."""
    here = os.path.dirname(os.path.realpath(__file__))
    share, auto_load, _ = here.partition("/gdb/auto-load/")
    return share + "/sinter/gdb" if auto_load else here


def _load():
    directory = _package_directory()
    if directory not in sys.path:
        sys.path.insert(0, directory)
    import sinter_gdb

    if not getattr(sinter_gdb, "registered", False):
        sinter_gdb.registered = True
        sinter_gdb.register()


_load()
