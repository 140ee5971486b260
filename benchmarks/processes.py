"""Run a program of Python to its end, and watch what it costs with the processes that it starts."""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

_TICK = 0.1  # seconds
_MEMORY = re.compile(r"^(VmHWM|RssAnon):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ProcessCost:
    """What a program took.

    Attributes:
        seconds: of wall time.
        cpu_seconds: of processor time, of all processes.
        largest_mb: most memory of the largest process.
        peak_mb: the sum of the most memory of each; pages of mapped files count, which the system
            takes back when it needs them.
        own_mb: most memory of all at once that is no page of a file.
    """

    seconds: float
    cpu_seconds: float
    largest_mb: float
    peak_mb: float
    own_mb: float


@dataclass(slots=True)
class _Watch:
    """Looks at the memory of a process and of what it starts, until it is told to stop."""

    pid: int
    ended: Event = field(default_factory=Event)
    peaks: dict[int, int] = field(default_factory=dict)
    own: int = 0

    def look(self) -> None:
        while not self.ended.wait(_TICK):
            found = {pid: _memory_of(pid) for pid in _family(self.pid)}
            for pid, memory in found.items():
                self.peaks[pid] = max(self.peaks.get(pid, 0), memory.get("VmHWM", 0))
            self.own = max(self.own, sum(each.get("RssAnon", 0) for each in found.values()))


def run_program(program: str, *arguments: str) -> ProcessCost:
    """Run a program's text in a process of its own; stop all, with what it said, if it fails."""
    with tempfile.TemporaryFile() as told:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL, stderr=told
        )
        watch = _Watch(process.pid)
        looking = Thread(target=watch.look, daemon=True)
        looking.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.ended.set()
        looking.join()
        if process.returncode:
            told.seek(0)
            said = told.read().decode(errors="replace")[-2000:]
            sys.exit(f"a program ended with {process.returncode}: {said}")
    return ProcessCost(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        largest_mb=usage.ru_maxrss / 1024,
        peak_mb=sum(watch.peaks.values()) / 1024,
        own_mb=watch.own / 1024,
    )


def _family(pid: int) -> list[int]:
    """Return a process and the processes that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(each for child in children for each in _family(int(child)))]


def _memory_of(pid: int) -> dict[str, int]:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return {name: int(size) for name, size in _MEMORY.findall(status)}
