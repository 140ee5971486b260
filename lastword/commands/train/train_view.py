"""What people see of training while it runs: a bar for each stage, with loss and speed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lastword.cli.screen import LINE_EVERY, Screen, duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from embedder.train.progress import TrainingProgress


ReportProgress = Callable[["TrainingProgress"], None]


@contextmanager
def watched(screen: Screen) -> Iterator[ReportProgress]:
    """Show reports as they come; where stderr is no terminal, as a line now and then."""
    if not screen.speaks:
        yield lambda progress: None
        return
    with _bars() as bars:
        yield _lines(screen) if bars.disable else _updates(bars)


def _updates(bars: "Bar") -> ReportProgress:
    tasks: dict[str, TaskID] = {}

    def report(progress: "TrainingProgress") -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bars.add_task(progress.stage, said="")
        bars.update(
            tasks[progress.stage],
            total=progress.of,
            completed=progress.step,
            said=_said(progress),
        )

    return report


def _lines(screen: Screen) -> ReportProgress:
    last = time.monotonic()

    def report(progress: "TrainingProgress") -> None:
        nonlocal last
        if time.monotonic() - last > LINE_EVERY or progress.step == progress.of:
            last = time.monotonic()
            step = f"{progress.stage}: step {progress.step:,} of {progress.of:,}"
            screen.remark(f"{step}, {_said(progress)}")

    return report


def _said(progress: "TrainingProgress") -> str:
    return (
        f"loss {progress.loss:.3f}, {progress.items_per_second:,.0f} pairs/s, "
        f"{progress.tokens_per_second:,.0f} tokens/s, {duration(progress.seconds_left)} left"
    )


def _bars() -> "Bar":
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(bar_width=20),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[said]}", markup=False),
        console=console,
        disable=not console.is_terminal,
    )
