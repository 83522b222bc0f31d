"""The resident memory of a process: now, and over time."""

import re
import threading
import time

INTERVAL_S = 0.25


def resident(pid, line="VmRSS"):
    """A line of /proc/PID/status such as VmRSS or VmHWM, in bytes; None when the process is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            found = re.search(rf"^{line}:\s+(\d+) kB", status.read(), re.M)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


class Watch:
    """Samples a process in the background, as (seconds since the start, bytes), while a `with` block runs."""

    def __init__(self, pid, interval=INTERVAL_S):
        self.pid, self.interval = pid, interval
        self.start = time.monotonic()
        self.samples = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def seconds(self):
        return time.monotonic() - self.start

    def _sample(self):
        for number in range(1, 1 << 30):
            size = resident(self.pid)
            if size is not None:
                self.samples.append((round(self.seconds(), 3), size))
            if self._ended.wait(max(0, number * self.interval - self.seconds())):
                return

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


def at(samples, seconds):
    """The first sample that is not earlier than `seconds`, or the last one."""
    return next((size for when, size in samples if when >= seconds), samples[-1][1])
