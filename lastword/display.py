"""What people see: tables and remarks, progress with throughput and time left, or JSON."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from lastword.options import Output

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.table import Table

LONG = 2.0  # seconds that may pass without a word
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
            console.print(one, markup=False, soft_wrap=isinstance(one, str))

    def remark(self, text: str) -> None:
        """Say something that is no result."""
        if self.speaks:
            _console(stderr=True).print(text, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, what: str, total: int | None, unit: str) -> Iterator[Advance]:
        """Show a bar with throughput and time left, and one line at the end of what took long.

        Where stderr is no terminal there is only the line. Nothing is left of work that failed:
        the error is then the only line.
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
        seconds = time.perf_counter() - started
        if finished and seconds > LONG:
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


def table(*columns: str, rows: Sequence[Sequence[str]]) -> "Table":
    """Lay out rows of plain text; where the terminal is narrow the last column gives way.

    Then the first, which holds names: rich would take the missing space from all columns,
    numbers included. A column whose name starts with ">" is aligned to the right.
    """
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown = [[*map(clipped, row[:-1]), row[-1]] for row in rows]
    names = [column.removeprefix(">") for column in columns]
    widths = [
        max([cell_len(name), *(cell_len(row[place]) for row in shown)])
        for place, name in enumerate(names[:-1])
    ]
    least = max([cell_len(columns[-1]), *(min(12, cell_len(row[-1])) for row in shown)])
    room = shutil.get_terminal_size().columns - 4 - sum(width + 2 for width in widths)
    if room < least and len(widths) > 1:
        kept = max(8, widths[0] - (least - room))
        room += widths[0] - kept
        widths[0] = kept
        shown = [[clipped(row[0], kept), *row[1:]] for row in shown]
    for column, name, width in zip(columns, names, widths, strict=False):
        side: Literal["left", "right"] = "right" if column != name else "left"
        made.add_column(name, justify=side, no_wrap=True, width=width)
    made.add_column(columns[-1], overflow="ellipsis", no_wrap=True, max_width=max(room, 12))
    for row in shown:
        made.add_row(*(Text(cell) for cell in row))
    return made


def clipped(name: str, room: int = 36) -> str:
    """Shorten a path or qualified name from its beginning: the end of it says most."""
    return name if len(name) <= room else "…" + name[len(name) - room + 1 :]


def one_line(text: str, width: int = 200) -> str:
    """Return the beginning of a text without line breaks, "…" where it goes on."""
    line = " ".join(text[: 2 * width + 100].split())
    return line if len(line) <= width else line[: width - 1] + "…"


def duration(seconds: float) -> str:
    """Write a time as people say it: 340 ms, 12.3 s, 4 min 10 s."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


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
