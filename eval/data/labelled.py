"""Labelled sentences: read the files of transfer tasks and group them into tasks by name."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

from embedder.files.content_hash import content_hash
from eval.data.tables import column_names, distinct, read_rows

DataPart = Literal["all", "train", "dev", "test"]
"""What a file holds: the whole set, to be cross-validated, or a part that is always the same."""

LAYOUTS: tuple[tuple[DataPart, ...], ...] = (("all",), ("train", "test"), ("train", "dev", "test"))
ONE, TWO = ("text",), ("sentence1", "sentence2")


@dataclass(frozen=True, slots=True)
class LabelledItems:
    """Items with their labels.

    Attributes:
        items: one sentence each, or two whose relation is labelled.
        labels: one an item.
    """

    items: tuple[tuple[str, ...], ...]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.items) != len(self.labels) or not self.items:
            raise ValueError(
                f"expected a label for each of at least one item; got {len(self.labels)} labels "
                f"for {len(self.items)} items"
            )
        if len({len(item) for item in self.items}) != 1:
            raise ValueError("expected as many sentences in every item")


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A named classification task, in one of the LAYOUTS."""

    name: str
    parts: Mapping[DataPart, LabelledItems]

    def __post_init__(self) -> None:
        layout = tuple(part for part in get_args(DataPart) if part in self.parts)
        if layout not in LAYOUTS:
            raise ValueError(
                f"{self.name}: expected one file {self.name}.tsv, or {self.name}-train.tsv with "
                f"{self.name}-test.tsv and perhaps {self.name}-dev.tsv; got {', '.join(layout)}"
            )
        if len({len(part.items[0]) for part in self.parts.values()}) != 1:
            raise ValueError(f"{self.name}: some parts have one sentence an item, others two")
        if len(self.counts) < 2:
            raise ValueError(f"{self.name}: classification needs two labels; all are the same")

    @property
    def training(self) -> LabelledItems:
        """The part that classifiers are fitted on."""
        return self.parts["all" if "all" in self.parts else "train"]

    @property
    def labels(self) -> list[str]:
        """The labels of all parts, sorted."""
        return sorted({label for part in self.parts.values() for label in part.labels})

    @property
    def counts(self) -> Counter[str]:
        """How often each label is in the training part."""
        return Counter(self.training.labels)

    def source_facts(self) -> dict[str, str]:
        """Return a digest of the items and labels: where it differs, figures are of other data."""
        parts = {name: [part.items, part.labels] for name, part in self.parts.items()}
        return {"items": content_hash(parts)}

    @property
    def pairs(self) -> bool:
        """Whether an item is two sentences."""
        return len(self.training.items[0]) == len(TWO)


def sentences(tasks: Iterable[LabelledTask]) -> list[str]:
    """Return every sentence of the tasks once, in the order of first appearance."""
    parts = chain.from_iterable(task.parts.values() for task in tasks)
    return distinct(text for part in parts for item in part.items for text in item)


def read_tasks(files: Sequence[Path]) -> list[LabelledTask]:
    """Group files into tasks by name, and read them.

    Raises:
        ValueError: a task lacks a part or has one twice, or a file is not as `read_labelled` says.
    """
    by_task: dict[str, dict[DataPart, Path]] = {}
    for path in files:
        name, part = _task_part(path)
        paths = by_task.setdefault(name, {})
        if part in paths:
            raise ValueError(f"{paths[part]} and {path} are both {name}; rename one, or leave it")
        paths[part] = path
    return [
        LabelledTask(name, {part: read_labelled(path) for part, path in parts.items()})
        for name, parts in by_task.items()
    ]


def read_labelled(path: Path) -> LabelledItems:
    """Read a file with the columns label and text, or label, sentence1 and sentence2.

    White space around a label does not count.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: a column is missing, a label is empty, or a line has too few or too many fields.
    """
    columns = TWO if TWO[0] in column_names(path) else ONE
    items, labels = [], []
    for place, fields in read_rows(path, ("label", *columns)):
        label = fields["label"].strip()
        if not label:
            raise ValueError(f"{place}: the label is empty")
        items.append(tuple(fields[name] for name in columns))
        labels.append(label)
    try:
        return LabelledItems(tuple(items), tuple(labels))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _task_part(path: Path) -> tuple[str, DataPart]:
    """Split "sst2-train" into the task and the part."""
    name, dash, end = path.stem.rpartition("-")
    for part in LAYOUTS[-1]:
        if dash and name and end == part:
            return name, part
    return path.stem, "all"
