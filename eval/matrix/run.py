"""Prompts x models x data sets: every cell judged, what prompts share read once."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from embedder.encoders.llm import LLMEncoder
from embedder.files.name_lists import first_repeated
from embedder.types import Encoder, Role
from eval.data.collections import Collection
from eval.data.pairs import PairSet, sentences
from eval.matrix.cells import MatrixCell, MatrixRequest, ModelPrompts, load_model_prompts
from eval.matrix.ledger import Ledger, LedgerTexts, decide, side_digest
from eval.matrix.shared_encoder import SharedEncoder, SharedRows, digest
from eval.runs.collection_index import source_facts
from eval.runs.record import Record, peak_bytes
from eval.runs.run_config import open_run
from eval.runs.run_folder import CONFIG, read_records
from eval.tasks.sts import judge as judge_pairs

Data = Collection | PairSet
MatrixWatch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]

WORK = "work"  # beside the models' folders: rows, indexes and the ledger
LEDGER = "budget.json"


@dataclass(frozen=True)
class Matrix:
    """What became of every cell.

    Attributes:
        asked: what was asked for.
        datasets: names, in order.
        cells: model by model, in each data set by data set, and there prompt by prompt.
        ledger: what was charged, ever.
        planned: nothing was run, and nothing is charged yet.
        changed: data sets of which there were records of other texts or judgements.
    """

    asked: MatrixRequest
    datasets: tuple[str, ...]
    cells: tuple[MatrixCell, ...]
    ledger: Ledger
    planned: bool = False
    changed: tuple[str, ...] = ()

    def column(self, dataset: str, model: str) -> dict[str, Record]:
        """Return prompt -> record of the finished cells of one model and data set."""
        return {
            cell.prompt: cell.record
            for cell in self.cells
            if (cell.dataset, cell.model) == (dataset, model) and cell.record is not None
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything but the values of single items, which lie in the run folders."""
        return {
            "models": list(self.asked.models),
            "prompts": list(self.asked.prompts),
            "datasets": list(self.datasets),
            "side": self.asked.side,
            "base": self.asked.base,
            "channels": list(self.asked.channels),
            "budget": self.asked.budget,
            "tokens": {"computed": self.ledger.spent, "prompt_by_prompt": self.ledger.apart},
            "planned": self.planned,
            "cells": [cell.to_json() for cell in self.cells],
        }


def run_matrix(
    asked: MatrixRequest,
    data: Sequence[Data],
    out: Path,
    watch: MatrixWatch | None = None,
    dry_run: bool = False,
) -> Matrix:
    """Judge every prompt with every model on every data set, and go on where that was begun.

    Args:
        asked: prompts, models and how they are judged.
        data: BEIR collections and sets of scored pairs.
        out: OUT/MODEL/PROMPT become run folders; OUT/work holds rows, indexes and the ledger.
        watch: shows progress: what is read, how many texts -> told how many have been.
        dry_run: count tokens and decide, and neither run nor write anything.

    Raises:
        ValueError: two data sets have one name, a model cannot be loaded, or a run folder holds
            results of other settings.
    """
    names = tuple(one.name for one in data)
    if (repeated := first_repeated(names)) is not None:
        raise ValueError(f"two of the data sets are called {repeated!r}; rename one")
    ledger = Ledger.read(out / WORK / LEDGER)
    cells: list[MatrixCell] = []
    changed: dict[str, None] = {}
    for label in asked.models:
        made = load_model_prompts(asked, label, {"retrieval", "sts"} & {_kind(one) for one in data})
        finished = _folders(asked, made, out, dry_run)
        for one in data:
            column = _ModelColumn(asked, made, one, out, finished)
            ledger = column.run(ledger, watch, dry_run)
            cells += column.cells.values()
            changed |= dict.fromkeys([one.name] if column.changed else [])
        del made  # one model at a time is in memory
    return Matrix(asked, names, tuple(cells), ledger, dry_run, tuple(changed))


def _kind(data: Data) -> str:
    return "sts" if isinstance(data, PairSet) else "retrieval"


def _folders(
    asked: MatrixRequest, made: ModelPrompts, out: Path, dry_run: bool
) -> dict[str, Mapping[str, Record]]:
    """Open the run folder of every prompt that the model can read; prompt -> what is finished."""
    opened: dict[str, Mapping[str, Record]] = {}
    for prompt in asked.prompts:
        folder = out / made.label / prompt
        settings = made.settings(asked, prompt)
        if settings is None:
            opened[prompt] = {}
        elif dry_run:
            opened[prompt] = read_records(folder) if (folder / CONFIG).is_file() else {}
        else:
            opened[prompt] = open_run(folder, settings, resume=True)
    return opened


class _ModelColumn:
    """The cells of one model on one data set."""

    def __init__(
        self,
        asked: MatrixRequest,
        made: ModelPrompts,
        data: Data,
        out: Path,
        finished: Mapping[str, Mapping[str, Record]],
    ) -> None:
        self.asked, self.made, self.data, self.out = asked, made, data, out
        self.source = data.source_facts() if isinstance(data, PairSet) else source_facts(data)
        self.changed = False
        self.cells = {
            prompt: MatrixCell(made.label, prompt, data.name, self._unchanged(finished[prompt]))
            for prompt in asked.prompts
        }
        self.encoders: dict[str, LLMEncoder] = {}
        for prompt, cell in self.cells.items():
            found = made.of[_kind(data)][prompt]
            if isinstance(found, str):
                self.cells[prompt] = replace(cell, record=None, refused=found)
            elif cell.record is None:
                self.encoders[prompt] = found

    def _unchanged(self, finished: Mapping[str, Record]) -> Record | None:
        """Return the record of this data set, unless it may be of other texts or judgements."""
        record = finished.get(self.data.name)
        if record is None or record.details.get("source") == self.source:
            return record
        self.changed = True
        return None

    def run(self, ledger: Ledger, watch: MatrixWatch | None, dry_run: bool) -> Ledger:
        """Decide which cells are run, charge them, and run them."""
        if not self.encoders:
            return ledger
        texts = self._texts()
        what = f"{self.made.label} on {self.data.name}"
        ledger, decided = decide(ledger, self.asked.budget, self.encoders, texts, what)
        for prompt, held in decided.items():
            self.cells[prompt] = replace(self.cells[prompt], decision=held)
        runs = {prompt: one for prompt, one in self.encoders.items() if decided[prompt].runs}
        if dry_run or not runs:
            return ledger
        for one in texts:
            ledger = ledger.reading(one.digest, self._sides(one.role))
        ledger.write(self.out / WORK / LEDGER)
        # A prompt whose budget is spent is in no pass: each pass is as it was charged.
        count = sum(len(held.texts) for held in texts)
        with watch(what, count) if watch else nullcontext(lambda done: None) as advance:
            passes = self._passes(ledger, texts, runs, advance)
            for prompt, encoder in runs.items():
                self._judge(prompt, encoder, passes)
        return ledger

    def _texts(self) -> list[LedgerTexts]:
        if isinstance(self.data, PairSet):
            found = [(Role.QUERY, sentences([self.data]))]
        else:
            held = [document.content for document in self.data.documents()]
            found = [(Role.DOCUMENT, held), (Role.QUERY, list(self.data.queries().values()))]
        return [LedgerTexts(role, texts, digest(*texts)) for role, texts in found]

    def _sides(self, role: Role) -> set[str]:
        """Return what the prompts that are asked for make of a role, finished ones included."""
        found = self.made.of[_kind(self.data)].values()
        return {side_digest(one, role) for one in found if not isinstance(one, str)}

    def _passes(
        self,
        ledger: Ledger,
        texts: Iterable[LedgerTexts],
        runs: Mapping[str, LLMEncoder],
        advance: Callable[[int], None],
    ) -> dict[tuple[Role, str], tuple[SharedRows, int]]:
        """Return where each side of each prompt is read: its pass, and its place in there."""
        done = 0

        def told(count: int) -> None:
            nonlocal done
            done += count
            advance(done)

        found: dict[tuple[Role, str], tuple[SharedRows, int]] = {}
        for held in texts:
            sides = {side_digest(one, held.role): one for one in reversed([*runs.values()])}
            for charge in ledger.charges:
                members = [side for side in charge.sides if side in sides]
                if charge.texts == held.digest and members:
                    group = [sides[side] for side in members]
                    shared = SharedRows(group, held.role, self.out / WORK / "rows", told)
                    found |= {(held.role, side): (shared, at) for at, side in enumerate(members)}
        return found

    def _judge(
        self,
        prompt: str,
        encoder: LLMEncoder,
        passes: Mapping[tuple[Role, str], tuple[SharedRows, int]],
    ) -> None:
        """Judge one cell; the time of what is shared counts in equal parts for all sharers."""
        mine = {
            role: passes[role, side]
            for role in Role
            if (role, side := side_digest(encoder, role)) in passes
        }
        shared = SharedEncoder(encoder, {role: one.readers[at] for role, (one, at) in mine.items()})
        every = {id(one): one for one, _ in passes.values()}.values()
        before, started = sum(one.seconds for one in every), time.perf_counter()
        folder = self.out / self.made.label / prompt
        try:
            record = self._record(shared, folder)
        except ValueError as error:
            self.cells[prompt] = replace(self.cells[prompt], refused=" ".join(str(error).split()))
            return
        own = time.perf_counter() - started - (sum(one.seconds for one in every) - before)
        seconds = {"encode": sum(one.share for one, _ in mine.values()), "judge": own}
        sharers = {role.value: len(one.readers) for role, (one, _) in mine.items()}
        record = replace(
            record,
            cost=replace(record.cost, seconds=seconds, peak_bytes=peak_bytes()),
            details={**record.details, "read_together": sharers},
        )
        record.write(folder)
        self.cells[prompt] = replace(self.cells[prompt], record=record)

    def _record(self, shared: SharedEncoder, folder: Path) -> Record:
        if isinstance(self.data, PairSet):
            return judge_pairs([self.data], shared)[0]
        from eval.tasks.retrieval import judge

        channels = self.asked.encoders(shared)
        index = self._index(shared, channels)
        options = self.asked.judge_options(folder)
        return judge(self.data, channels, index, options)

    def _index(self, shared: SharedEncoder, channels: Mapping[str, Encoder]) -> Path:
        """Name an index after the documents' side: prompts that share that share the index."""
        place = digest(*channels, self.asked.index_facts(shared.fingerprint))
        return self.out / WORK / "indexes" / f"{self.data.name.replace('/', '-')}-{place}.index"
