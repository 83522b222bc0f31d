"""Core dumps: writing one that has the packed pages as well."""

import os

from . import process
from .memory import Trouble

COPY_BYTES = 1 << 20


def copy_sparse(source, target, size):
    """The parts of the file that have data; the rest stays a hole."""
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError:
            return  # a hole up to the end
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            data = os.pread(source, min(COPY_BYTES, end - at), at)
            if not data:
                raise Trouble("the core dump became shorter while it was copied")
            os.pwrite(target, data, at)
            at += len(data)


def fill(pages, path):
    """Copies the core dump that gdb looks at to `path`, with all pages. How many were filled in, and how many it has no room for."""
    core = process.core_path()
    if core is None:
        raise Trouble("this is no core dump; in a live process, 'sinter restore' brings pages back")
    segments = sorted(process.core_segments(core), key=lambda s: s.address)
    filled = lacking = 0
    source = os.open(core, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            copy_sparse(source, target, os.fstat(source).st_size)
            for page in sorted(pages.away):
                at = _place(segments, pages.address(page), pages.page_bytes)
                if at is None:
                    lacking += 1
                else:
                    os.pwrite(target, pages.contents(page), at)
                    filled += 1
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(target)
    finally:
        os.close(source)
    return filled, lacking


def _place(segments, address, size):
    for segment in segments:
        if segment.address <= address and address + size <= segment.address + segment.file_bytes:
            return segment.offset + address - segment.address
    return None
