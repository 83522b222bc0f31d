"""
Bringing packed pages back in a live process, so that gdb can read and write them.

If the mover rests, which it nearly always does, it is called alone: no other thread runs, whatever they are in the middle of.
Otherwise sinter_restore() is called on a thread that is outside the library, and all threads run until it returns.
"""

import contextlib
import os
import signal
import threading

import gdb

from . import process
from .layout import Layout
from .memory import Trouble

TIMEOUT = 20  # seconds
TRIES = 5
SETTLE = 20000  # microseconds
UNSAFE = ("fork", "vfork", "_Fork", "__run_fork_handlers", "__run_prefork_handlers")


@contextlib.contextmanager
def parameters(**values):
    """gdb's parameters (with '-' for '_') set to these for a while."""
    before = {}
    try:
        for name, value in values.items():
            name = name.replace("_", "-")
            before[name] = gdb.parameter(name)
            gdb.execute(f"set {name} {value}", to_string=True)
        yield
    finally:
        for name, value in before.items():
            text = {True: "on", False: "off", None: "unlimited"}.get(value, value)
            gdb.execute(f"set {name} {text}", to_string=True)


@contextlib.contextmanager
def selection_kept():
    thread = gdb.selected_thread()
    try:
        frame = gdb.selected_frame()
        level = frame.level()
    except gdb.error:
        level = None
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            thread.switch()
            if level:
                gdb.execute(f"frame {level}", to_string=True)


@contextlib.contextmanager
def breakpoints_off():
    """Other threads shall not stop in the middle of our call."""
    enabled = [b for b in gdb.breakpoints() or () if b.enabled]
    for b in enabled:
        b.enabled = False
    try:
        yield
    finally:
        for b in enabled:
            if b.is_valid():
                b.enabled = True


@contextlib.contextmanager
def time_limit(seconds):
    """Interrupts gdb, as Control-C would."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_called(thread):
    """Is the thread in a call of gdb's?"""
    thread.switch()
    frame = gdb.newest_frame()
    while frame is not None and frame.type() != gdb.DUMMY_FRAME:
        frame = frame.older()
    return frame is not None


def call(function, argument=0):
    """Calls a function with one argument, or none, in the selected thread; if it does not return in time, takes the call back."""
    thread = gdb.selected_thread()
    with parameters(unwindonsignal="on"), time_limit(TIMEOUT):
        try:
            gdb.parse_and_eval(f"((long (*)(long)) {function:#x})({argument})")
        except gdb.error:
            # Another thread may have reported a stop meanwhile; the call goes on then.
            for _ in range(TRIES):
                if not is_called(thread):
                    raise
                gdb.execute("continue", to_string=True)
            if is_called(thread):
                raise


# ---- the mover alone ----


def mover_thread(layout):
    number = layout.value("thread.raw.alive")
    if number == 0:
        return None
    threads = gdb.selected_inferior().threads()
    for thread in threads:
        if thread.ptid[1] == number:
            return thread
    named = [t for t in threads if t.name == "sinter"]  # its number differs from outside of a container
    return named[0] if len(named) == 1 else None


def by_mover(layout, mover):
    mover.switch()
    with parameters(scheduler_locking="on"):
        call(layout.address("restore_resting"))


# ---- all threads ----


def _library_of(pc):
    return gdb.solib_name(pc)


def is_outside(thread, library):
    """Is the thread where a call cannot wait for what it holds itself?"""
    thread.switch()
    frame = gdb.newest_frame()
    depth = 0
    while frame is not None and depth < 64:
        if _library_of(frame.pc()) == library or frame.name() in UNSAFE:
            return False
        frame, depth = frame.older(), depth + 1
    return True


@contextlib.contextmanager
def lock_free_again(layout):
    """What a call that was taken back has locked would stay so."""
    try:
        yield
    except gdb.error:
        name = "locks[BELL_RESTORE].state"
        if layout.value(name) == 1:
            gdb.selected_inferior().write_memory(layout.address(name), bytes(layout.size(name)))
        raise


def by_program(layout, mover):
    function = int(gdb.parse_and_eval("(unsigned long) &sinter_restore"))
    library = _library_of(function)
    selected = gdb.selected_thread()
    candidates = [selected] + [t for t in gdb.selected_inferior().threads() if t != selected]
    for thread in candidates:
        if thread != mover and not thread.is_exited() and is_outside(thread, library):
            thread.switch()
            with parameters(scheduler_locking="off"), breakpoints_off(), lock_free_again(layout):
                call(function)
                call(int(gdb.parse_and_eval("(unsigned long) &usleep")), SETTLE)  # until the mover rests
                return
    raise Trouble(
        "every thread that could call sinter_restore() is inside the allocator or in a fork; "
        "'finish' until one is out of it, then 'sinter restore'"
    )


# ---- either ----


def away(layout):
    return layout.value("pages_aside") + layout.value("pages_packed")


def restore():
    """Brings all pages back. Returns how many there were, and how it was done."""
    layout = Layout()
    if not process.is_live():
        raise Trouble("only a live process can bring pages back; see 'help sinter fill-core' for a core dump")
    count = away(layout)
    mover = mover_thread(layout)
    rests = layout.value("mover.resting")
    if count == 0 and (mover is None or not rests):
        return 0, ""
    if mover is None:
        raise Trouble(f"{count} pages are away, and the thread that would bring them back is not there")
    if layout.value("family_frozen"):
        raise Trouble(f"{count} pages are away, and a fork is under way: 'continue' a little, then 'sinter restore'")
    with selection_kept():
        try:
            for _ in range(TRIES):
                if layout.value("mover.resting"):
                    by_mover(layout, mover)
                    break
                by_program(layout, mover)  # after which it usually rests: only the mover fills holes
        except (gdb.error, KeyboardInterrupt) as error:
            raise Trouble(f"{away(layout)} pages could not be brought back: {error}") from None
    left = away(layout)
    if left:
        raise Trouble(f"{left} of {count} pages did not come back; 'continue' a little, then 'sinter restore'")
    return count, "" if rests else ", for which all threads ran a moment"


# ---- at a stop ----


class Automatic:
    """
    Brings everything back when the process has stopped and gdb is about to ask for a command. (Not in the event of the stop: a
    call from there can end gdb 13 with an internal error.) Packing ends with it, so it happens once.
    """

    def __init__(self):
        self.enabled = True
        self._busy = False
        self._refused = None
        gdb.events.before_prompt.connect(self.look)

    def look(self):
        if not self.enabled or self._busy:
            return
        self._busy = True
        try:
            self._bring_back()
        finally:
            self._busy = False

    def _bring_back(self):
        try:
            if away(Layout()) == 0 or not process.is_live():
                return
        except (Trouble, gdb.error):
            return  # not Sinter's, or not started yet
        try:
            count, how = restore()
        except (Trouble, gdb.error) as error:
            self._say(str(error))
            return
        self._refused = None
        if count:
            gdb.write(f"sinter: {count} pages that were away are back{how}; no more leave until sinter_compact()\n")

    def _say(self, text):
        """Once, not at each step."""
        if text != self._refused:
            gdb.write(f"sinter: {text}\n")
        self._refused = text


automatic = Automatic()
