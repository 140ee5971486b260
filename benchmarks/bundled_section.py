"""What is measured of a model: figures beside their goals, sections of them, and whose they are."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.files.durable import replace_file

Cells = Sequence[str]


@dataclass(frozen=True)
class Subject:
    """The model that is measured, on which data, and where what is finished lies.

    Attributes:
        model: "bundled", or a folder.
        data: holds `retrieval/` and `sts/`.
        runs: run folders of all models.
    """

    model: str
    data: Path
    runs: Path

    def __post_init__(self) -> None:
        if not (self.place / "config.json").is_file():
            raise ValueError(f"{self.place} is no model: it has no config.json; give its folder")

    @property
    def place(self) -> Path:
        """The model's folder."""
        return BUNDLED_MODEL if self.model == BUNDLED_NAME else Path(self.model)

    @property
    def option(self) -> str:
        """What a command of lastword is told about the model."""
        return "" if self.model == BUNDLED_NAME else f" --model {shlex.quote(self.model)}"

    @property
    def files(self) -> dict[str, int]:
        """Size in bytes of every file of the model."""
        paths = (path for path in sorted(self.place.iterdir()) if path.is_file())
        return {path.name: path.stat().st_size for path in paths}

    @cached_property
    def digest(self) -> str:
        """Stands for all that changes a vector, so that another model gets other run folders."""
        digest = hashlib.blake2b(digest_size=4)
        for name in self.files:
            if not name.endswith(".md"):
                digest.update((self.place / name).read_bytes())
        return digest.hexdigest()

    @property
    def work(self) -> Path:
        """Folder of this model's runs."""
        return self.runs / f"{self.place.resolve().name}-{self.digest}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure that was measured, and where it has to lie.

    Attributes:
        what: it is.
        value: measured.
        low: goal, at least; None where there is none. Likewise `high`, at most.
        form: format of the numbers.
        note: what is said behind the value.
    """

    what: str
    value: float
    low: float | None = None
    high: float | None = None
    form: str = ".2f"
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached; None where there is none."""
        if self.low is None and self.high is None:
            return None
        return (self.low is None or self.value >= self.low) and (
            self.high is None or self.value <= self.high
        )

    @property
    def cells(self) -> Cells:
        """What it is, the goal, the value, and whether the goal is reached."""
        bounds = ((">=", self.low), ("<=", self.high))
        goal = ", ".join(
            f"{sign} {bound:{self.form}}" for sign, bound in bounds if bound is not None
        )
        answer = {None: "", True: "yes", False: "**no**"}[self.reached]
        value = f"{self.value:{self.form}}" + (f" ({self.note})" if self.note else "")
        return (self.what, goal, value, answer)


@dataclass(frozen=True)
class Section:
    """Figures that are measured together.

    Attributes:
        name: for --only.
        title: of its part of the page.
        figures: those with a goal, and what else belongs beside them.
        lines: Markdown, the details.
        facts: unrounded, as JSON.
        taken: when and where, see `benchmarks.record.surroundings`; load_average besides.
    """

    name: str
    title: str
    figures: tuple[Figure, ...]
    lines: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    taken: Mapping[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Keep it, so that a page can be written anew without measuring again."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False)
        replace_file(folder / f"{self.name}.json", text.encode())

    @staticmethod
    def read(path: Path) -> "Section":
        """Read what `write` kept."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        figures = tuple(Figure(**figure) for figure in fields.pop("figures"))
        return Section(figures=figures, lines=tuple(fields.pop("lines")), **fields)

    def record(self, subject: Subject) -> dict[str, object]:
        """Return the line for results.jsonl."""
        return {
            "name": f"bundled/{self.name}",
            "model": subject.model,
            "model_digest": subject.digest,
            "figures": [{**asdict(figure), "reached": figure.reached} for figure in self.figures],
            **self.facts,
            "load_average": self.taken.get("load_average"),
        }


def markdown(headings: Cells, rows: Sequence[Cells]) -> tuple[str, ...]:
    """Write a table, numbers to the right."""
    sides = ["---", *["---:"] * (len(headings) - 1)]
    lines = [headings, sides, *rows]
    return tuple(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines
    )
