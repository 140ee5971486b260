"""How a stage gets on: figures for people while it runs, and a log file that survives kills."""

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedder.files.config_file import parse_json
from embedder.files.durable import open_append, replace_file

WINDOW = 50  # steps that speed is measured over
KEPT = 0.95  # of the smoothed loss at each step
STARTED = time.monotonic()  # close to the start of the process


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How far a stage is.

    Attributes:
        stage: its name.
        step: steps that are done.
        of: steps in all.
        loss: smoothed over about 20 steps.
        rate: learning rate as a share of the highest, 0 to 1.
        items_per_second: pairs.
        tokens_per_second: of queries and passages, without padding.
        seconds_left: to the end of the stage at this speed.
    """

    stage: str
    step: int
    of: int
    loss: float
    rate: float
    items_per_second: float
    tokens_per_second: float
    seconds_left: float

    def __str__(self) -> str:
        return (
            f"{self.stage} step {self.step:,} of {self.of:,}, loss {self.loss:.3f}, "
            f"{self.items_per_second:,.0f} pairs/s, {self.tokens_per_second:,.0f} tokens/s, "
            f"{self.seconds_left / 60:,.0f} min left"
        )


@dataclass(slots=True)
class TrainingMeter:
    """Smooth the loss and measure speed over the last steps of this process."""

    stage: str
    of: int
    loss: float | None = None
    steps: "deque[tuple[float, int, int]]" = field(default_factory=lambda: deque(maxlen=WINDOW + 1))

    def begin(self) -> None:
        """Start the clock."""
        self.steps.append((time.monotonic(), 0, 0))

    def measure(
        self, step: int, loss: float, rate: float, items: int, tokens: int
    ) -> TrainingProgress:
        """Count a step that has just been done."""
        self.loss = loss if self.loss is None else KEPT * self.loss + (1 - KEPT) * loss
        self.steps.append((time.monotonic(), items, tokens))
        recent = list(self.steps)[1:]
        seconds = max(recent[-1][0] - self.steps[0][0], 1e-9)
        return TrainingProgress(
            stage=self.stage,
            step=step,
            of=self.of,
            loss=self.loss,
            rate=rate,
            items_per_second=sum(items for _, items, _ in recent) / seconds,
            tokens_per_second=sum(tokens for _, _, tokens in recent) / seconds,
            seconds_left=(self.of - step) * seconds / len(recent),
        )


class LogFile:
    """One JSON object per line: step, loss, its parts, pairs_per_second, seconds.

    A run that is taken up again forgets the lines behind its checkpoint, since those steps are
    taken anew; so every step is there once, whatever was killed when.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def cut(self, done: int) -> None:
        """Keep the lines of the first `done` steps; a line that was cut off by a kill goes."""
        if not self.path.exists():
            return
        lines = self.path.read_bytes().splitlines(keepends=True)
        lines_before = [
            line
            for number, line in enumerate(lines, start=1)
            if line.endswith(b"\n") and _step(line, f"{self.path}:{number}") <= done
        ]
        replace_file(self.path, b"".join(lines_before))

    def add(self, progress: TrainingProgress, parts: Mapping[str, float]) -> None:
        """Append a line; `seconds` are counted from the start of this process."""
        facts: dict[str, Any] = {
            "step": progress.step,
            "loss": round(progress.loss, 5),
            **{name: round(value, 5) for name, value in parts.items()},
            "rate": round(progress.rate, 5),
            "pairs_per_second": round(progress.items_per_second, 1),
            "tokens_per_second": round(progress.tokens_per_second),
            "seconds": round(time.monotonic() - STARTED, 1),
        }
        with open_append(self.path) as file:
            file.write(json.dumps(facts).encode() + b"\n")


def _step(line: bytes, place: str) -> int:
    facts = parse_json(line, place, finite=False)
    if not isinstance(facts, dict) or not isinstance(facts.get("step"), int):
        raise ValueError(f"{place}: expected a line of a training log, with its step")
    return int(facts["step"])
