"""What people see: tables and remarks, progress with throughput and time left, or JSON."""

import json
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from embedder.progress import listening
from embedder.text.printable import escape_json
from lastword.cli.options import Output
from lastword.cli.streams import writes_unicode
from lastword.cli.tables import Table, on_terminal, table, visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.progress import Progress, Task, TaskID
    from rich.text import Text

__all__ = [
    "Screen",
    "clipped",
    "counted",
    "duration",
    "one_line",
    "shell",
    "size",
    "table",
    "visible",
]

LONG = 2.0  # seconds that may pass without a word
WIDE = 120  # columns of a terminal from which on a bar is 20 wide, else 10
BESIDE = 10 + 4 + 7 + 4  # columns of a narrow bar, the per cent, the time left and spaces
LINE_EVERY = 30.0  # seconds between two lines of progress where stderr is no terminal
Advance = Callable[[int], None]
"""Called with how many items are finished by now."""
ShowStage = Callable[[str, float, float, str], None]
"""Called with a stage, how much of how much is done, and what else there is to say."""


class Screen:
    """Results go to stdout; remarks and progress go to stderr, and nowhere under --quiet."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._remarks: set[str] = set()

    @property
    def speaks(self) -> bool:
        """Whether remarks and progress are wanted."""
        return not (self._output.quiet or self._output.json)

    def result(self, data: object, *pieces: "RenderableType") -> None:
        """Give the result: `data` under --json, else what is shown to people."""
        if self._output.json:
            ascii_only = not writes_unicode()
            text = json.dumps(data, ensure_ascii=ascii_only, indent=2, allow_nan=False)
            sys.stdout.write(escape_json(text) + "\n")
            return
        console = _console()
        before: object = None
        for piece in pieces:
            if isinstance(before, Table) and isinstance(piece, Table):
                piece = replace(piece, below=True)
            _print(console, piece)
            before = piece

    def line(self, data: object) -> None:
        """Write a part of a result as a line of JSON, at once: for --json of what may be long."""
        text = json.dumps(data, ensure_ascii=not writes_unicode(), allow_nan=False)
        sys.stdout.write(escape_json(text) + "\n")

    def remark(self, text: str) -> None:
        """Say something that is no result; what was said already is not said again."""
        if self.speaks and text not in self._remarks:
            self._remarks.add(text)
            _print(_console(stderr=True), text)

    @contextmanager
    def progress(self, heading: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Show a bar with throughput and time left, and one line at the end of what took long.

        Where stderr is no terminal there is that line, and one now and then before it. Nothing is
        left on a terminal of work that failed: the error is then the only line. Being told of 0
        begins the time anew: what was made ready before, as a model, is none of the work.
        """
        if not self.speaks:
            yield lambda done: None
            return
        started, finished = time.perf_counter(), 0
        last = time.monotonic()
        with _bars(transient=True) as bars, listening(partial(_print, bars.console)):
            task = bars.add_task(visible(heading), total=total, status="")

            def advance(done: int) -> None:
                nonlocal started, finished, last
                started = started if done else time.perf_counter()
                finished = done
                of = "" if total is None else f" of {total:,}"
                bars.update(task, completed=done)
                rate = bars.tasks[0].speed or done / (time.perf_counter() - started)
                status = f"{done:,}{of} {unit}, {_rate(rate)} {unit}/s"
                bars.update(task, status=status)
                if bars.disable and time.monotonic() - last > LINE_EVERY and done != total:
                    last = time.monotonic()
                    self.remark(f"{heading}: {status}{_time_left(bars.tasks[0])}")

            yield advance
        seconds = time.perf_counter() - started
        if finished and seconds > LONG:
            self.remark(
                f"{heading}: {counted(finished, _singular(unit))} in {duration(seconds)}"
                f" ({_rate(finished / seconds)} {unit}/s)"
            )

    @contextmanager
    def stages(self) -> Iterator[ShowStage]:
        """Show a bar for each stage; where stderr is no terminal, a line now and then."""
        if not self.speaks:
            yield lambda stage, done, total, status: None
            return
        last = time.monotonic()
        tasks: dict[str, TaskID] = {}
        with _bars() as bars, listening(partial(_print, bars.console)):

            def show(stage: str, done: float, total: float, status: str) -> None:
                nonlocal last
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, status="")
                bars.update(tasks[stage], total=total, completed=done, status=status)
                if bars.disable and (time.monotonic() - last > LINE_EVERY or done == total):
                    last = time.monotonic()
                    self.remark(f"{stage}: {status}{_time_left(bars.tasks[tasks[stage]])}")

            yield show

    def loading(self, channels: str) -> AbstractContextManager[None]:
        """Show that a model is loaded, which takes seconds; words alone, bm25, need none."""
        return nullcontext() if channels == "bm25" else self.waiting("Loading the model")

    @contextmanager
    def waiting(self, heading: str) -> Iterator[None]:
        """Show that something is going on whose length is not known."""
        from rich.markup import escape

        console = _console(stderr=True)
        if not self.speaks or not console.is_terminal:
            yield
            return
        # Through the same console, which alone can write above the line that moves.
        with (
            console.status(escape(visible(f"{heading} ..."))),
            listening(partial(_print, console)),
        ):
            yield


def shell(*words: object) -> str:
    """Write a command as a shell takes it, whatever its words hold."""
    return shlex.join(map(str, words))


def clipped(name: str, room: int = 36) -> str:
    """Shorten a path or qualified name on a terminal: the end of it says most."""
    if len(name) <= room or not on_terminal():
        return name
    return "…" + name[len(name) - room + 1 :]


def one_line(text: str, width: int = 200) -> str:
    """Return a text without line breaks; on a terminal its beginning, "…" where it goes on."""
    if not on_terminal():
        return " ".join(text.split())
    line = " ".join(text[: 2 * width + 100].split())
    return line if len(line) <= width else line[: width - 1] + "…"


def duration(seconds: float) -> str:
    """Write a time as people say it: 340 ms, 12.3 s, 4 min 10 s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    return f"{minutes} min {remainder} s"


def _time_left(task: "Task") -> str:
    """Say how long a task goes on, or nothing where that is not known."""
    left = task.time_remaining
    return f", {duration(left)} left" if left else ""


def _rate(rate: float) -> str:
    """Write how many a second, with a decimal where a whole number would say little."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _singular(unit: str) -> str:
    return f"{unit[:-3]}y" if unit.endswith("ies") else unit.removesuffix("s")


def counted(number: int, noun: str) -> str:
    """Write "1 text", "1,200 texts", "2 queries"."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else several}"


def size(count: int) -> str:
    """Write a number of bytes: 812 B, 3.4 MB."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def _console(stderr: bool = False) -> "Console":
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _print(console: "Console", piece: "RenderableType") -> None:
    """Print text of any origin as it is; what would steer the terminal is shown instead."""
    if isinstance(piece, str):
        console.print(visible(piece, keep="\n\t"), soft_wrap=True)
    else:
        console.print(_Visible(piece), crop=False)


@dataclass(frozen=True, slots=True)
class _Visible:
    """What a renderable shows, with control characters escaped."""

    renderable: "RenderableType"

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.segment import Segment

        for segment in console.render(self.renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(visible(segment.text, keep="\n"), segment.style)


def _bars(transient: bool = False) -> "Progress":
    from rich import progress
    from rich.table import Column

    console = _console(stderr=True)
    narrow = console.width < WIDE

    class Status(progress.TextColumn):
        """What there is to say, in one line: parts after commas that have no room are left out."""

        def render(self, task: "Task") -> "Text":
            text = super().render(task)
            room = console.width - len(task.description) - (BESIDE if narrow else BESIDE + 10)
            while len(text) > room and ", " in text.plain:
                text.truncate(text.plain.rindex(", "))
            return text

    # By default every column is cut where a line is too long.
    status = Status("{task.fields[status]}", markup=False, table_column=Column(overflow="fold"))
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=10 if narrow else 20),
        progress.TaskProgressColumn(),
        status,
        progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=transient,
        speed_estimate_period=60,
    )
