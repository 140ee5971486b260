"""What people see: tables and remarks, progress with throughput and time left, or JSON."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lastword.options import Output

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.table import Table

Advance = Callable[[int], None]
"""Called with how many items are finished by now."""


class Screen:
    """Results go to stdout; remarks and progress go to stderr, and nowhere under --quiet."""

    def __init__(self, output: Output) -> None:
        self._output = output

    @property
    def speaks(self) -> bool:
        """Whether remarks and progress are wanted."""
        return not (self._output.quiet or self._output.json)

    def result(self, data: object, *shown: "RenderableType") -> None:
        """Give the result: `data` under --json, else what is shown to people."""
        if self._output.json:
            sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
            return
        console = _console()
        for one in shown:
            console.print(one, markup=False)

    def remark(self, text: str) -> None:
        """Say something that is no result."""
        if self.speaks:
            _console(stderr=True).print(text, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Show a bar with throughput and time left, and one line when it is done.

        Where stderr is no terminal there is only the line.
        """
        started, finished = time.perf_counter(), 0
        if not self.speaks:
            yield lambda done: None
            return
        with _bar(unit) as bar:
            task = bar.add_task(what, total=total)

            def advance(done: int) -> None:
                nonlocal finished
                finished = done
                bar.update(task, completed=done)

            yield advance
        if finished:
            seconds = time.perf_counter() - started
            self.remark(
                f"{what}: {finished:,} {unit} in {duration(seconds)}"
                f" ({finished / seconds:,.0f} {unit}/s)"
            )

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Show that something is going on whose length is not known."""
        console = _console(stderr=True)
        if not self.speaks or not console.is_terminal:
            yield
            return
        with console.status(f"{what} ..."):
            yield


def table(*columns: str, rows: Sequence[Sequence[str]], title: str = "") -> "Table":
    """Lay out rows of plain text; the last column gives way where the terminal is narrow.

    A column whose name starts with ">" is aligned to the right.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns[:-1]:
        right = column.startswith(">")
        made.add_column(column.lstrip(">"), justify="right" if right else "left", no_wrap=True)
    made.add_column(columns[-1], overflow="ellipsis", no_wrap=True, ratio=1)
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def one_line(text: str, width: int = 200) -> str:
    """Return the beginning of a text without line breaks."""
    return " ".join(text[: 2 * width].split())[:width]


def duration(seconds: float) -> str:
    """Write a time as people say it: 340 ms, 12.3 s, 4 min 10 s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def counted(number: int, noun: str) -> str:
    """Write "1 text", "1,200 texts"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


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

    return Console(stderr=stderr, highlight=False)


def _bar(unit: str) -> "Progress":
    from rich import progress
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        """Throughput so far."""

        def render(self, task: progress.Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="cyan")

    console = _console(stderr=True)
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
        speed_estimate_period=60,
    )
