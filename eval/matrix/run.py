"""Prompts x models x data sets: judge every cell, and read once what prompts share."""

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
from eval.matrix.cells import (
    MatrixCell,
    MatrixRequest,
    ModelPrompts,
    load_model_prompts,
    show_collection,
)
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
    """Every cell of a matrix.

    Attributes:
        request: prompts, models and how they are judged.
        datasets: names, in order.
        cells: model by model, in each data set by data set, and there prompt by prompt.
        ledger: every charge, earlier runs' included.
        planned: nothing was run, and nothing is charged yet.
        changed: data sets of which there were records of other texts or judgements.
    """

    request: MatrixRequest
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
            "models": list(self.request.models),
            "prompts": list(self.request.prompts),
            "datasets": list(self.datasets),
            "side": self.request.side,
            "base": self.request.base,
            "channels": list(self.request.channels),
            "budget": self.request.budget,
            "tokens": {"computed": self.ledger.spent, "prompt_by_prompt": self.ledger.apart},
            "planned": self.planned,
            "cells": [cell.to_json() for cell in self.cells],
        }


def run_matrix(
    request: MatrixRequest,
    data: Sequence[Data],
    out: Path,
    watch: MatrixWatch | None = None,
    dry_run: bool = False,
) -> Matrix:
    """Judge every prompt with every model on every data set, and go on where that was begun.

    Args:
        request: prompts, models and how they are judged.
        data: BEIR collections and sets of scored pairs.
        out: OUT/MODEL/PROMPT become run folders; OUT/work holds rows, indexes and the ledger.
        watch: shows progress: called with a label and the number of texts, it yields a function
            that is called with the number of texts read so far.
        dry_run: count tokens and decide, and neither run nor write anything.

    Raises:
        ValueError: two data sets have one name, a model cannot be loaded, or a run folder holds
            results of other settings.
    """
    names = tuple(dataset.name for dataset in data)
    if (repeated := first_repeated(names)) is not None:
        raise ValueError(f"two of the data sets are called {repeated!r}; rename one")
    ledger = Ledger.read(out / WORK / LEDGER)
    cells: list[MatrixCell] = []
    changed: dict[str, None] = {}
    for label in request.models:
        prompts = load_model_prompts(request, label, {_kind(dataset) for dataset in data})
        finished = _folders(request, prompts, out, dry_run)
        for dataset in data:
            column = _ModelColumn(request, prompts, dataset, out, finished)
            ledger = column.run(ledger, watch, dry_run)
            cells += column.cells.values()
            changed |= dict.fromkeys([dataset.name] if column.changed else [])
        del prompts  # one model at a time is in memory
    return Matrix(request, names, tuple(cells), ledger, dry_run, tuple(changed))


def _kind(data: Data) -> str:
    return "sts" if isinstance(data, PairSet) else "retrieval"


def _folders(
    request: MatrixRequest, prompts: ModelPrompts, out: Path, dry_run: bool
) -> dict[str, Mapping[str, Record]]:
    """Open the run folder of every prompt that the model can read; prompt -> finished records."""
    opened: dict[str, Mapping[str, Record]] = {}
    for prompt in request.prompts:
        folder = out / prompts.label / prompt
        settings = prompts.settings(request, prompt)
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
        request: MatrixRequest,
        prompts: ModelPrompts,
        data: Data,
        out: Path,
        finished: Mapping[str, Mapping[str, Record]],
    ) -> None:
        self.request, self.prompts, self.data, self.out = request, prompts, data, out
        self.source = data.source_facts() if isinstance(data, PairSet) else source_facts(data)
        self.changed = False
        self._advance: Callable[[int], None] = lambda done: None
        self.cells = {
            prompt: MatrixCell(prompts.label, prompt, data.name, self._unchanged(finished[prompt]))
            for prompt in request.prompts
        }
        self.encoders: dict[str, LLMEncoder] = {}
        for prompt, cell in self.cells.items():
            encoder = prompts.encoders[_kind(data)][prompt]
            if cell.record is None and not isinstance(encoder, str):
                encoder = self._with_examples(prompt, encoder)
            if isinstance(encoder, str):
                self.cells[prompt] = replace(cell, record=None, refused=encoder)
            elif cell.record is None:
                self.encoders[prompt] = encoder

    def _with_examples(self, prompt: str, encoder: LLMEncoder) -> LLMEncoder | str:
        """Return the encoder with what its prompt shows of the collection, or why it cannot."""
        if isinstance(self.data, PairSet):
            return encoder
        try:
            own = self.request.own_or(prompt, self.prompts.label)
            return show_collection(encoder, own, self.data)
        except ValueError as error:
            return " ".join(str(error).split())

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
        label = f"{self.prompts.label} on {self.data.name}"
        ledger, decided = decide(ledger, self.request.budget, self.encoders, texts, label)
        for prompt, decision in decided.items():
            self.cells[prompt] = replace(self.cells[prompt], decision=decision)
        runs = {name: encoder for name, encoder in self.encoders.items() if decided[name].runs}
        if dry_run or not runs:
            return ledger
        for data in texts:
            ledger = ledger.reading(data.digest, self._sides(data.role))
        ledger.write(self.out / WORK / LEDGER)
        # A prompt whose budget is spent is in no pass: each pass is as it was charged.
        passes, count = self._passes(ledger, texts, runs)
        with watch(label, count) if watch else nullcontext(self._advance) as self._advance:
            for prompt, encoder in runs.items():
                self._judge(prompt, encoder, passes)
        return ledger

    def _texts(self) -> list[LedgerTexts]:
        if isinstance(self.data, PairSet):
            texts_by_role = [(Role.QUERY, sentences([self.data]))]
        else:
            documents = [document.content for document in self.data.documents()]
            queries = list(self.data.queries().values())
            texts_by_role = [(Role.DOCUMENT, documents), (Role.QUERY, queries)]
        return [LedgerTexts(role, texts, digest(*texts)) for role, texts in texts_by_role]

    def _sides(self, role: Role) -> set[str]:
        """Return digests of a role's wordings in the requested prompts, finished ones included."""
        encoders = {**self.prompts.encoders[_kind(self.data)], **self.encoders}.values()
        return {side_digest(encoder, role) for encoder in encoders if not isinstance(encoder, str)}

    def _passes(
        self,
        ledger: Ledger,
        texts: Iterable[LedgerTexts],
        runs: Mapping[str, LLMEncoder],
    ) -> tuple[dict[tuple[Role, str], tuple[SharedRows, int]], int]:
        """Return where each side of each prompt is read, and the texts of all passes.

        A side is read in a pass, and has a place in there.
        """
        done = total = 0

        def add_texts(count: int) -> None:
            nonlocal done
            done += count
            self._advance(done)

        passes: dict[tuple[Role, str], tuple[SharedRows, int]] = {}
        for data in texts:
            sides = {side_digest(run, data.role): run for run in reversed([*runs.values()])}
            for charge in ledger.charges:
                members = [side for side in charge.sides if side in sides]
                if charge.texts == data.digest and members:
                    group = [sides[side] for side in members]
                    rows = self.out / WORK / "rows"
                    shared = SharedRows(group, data.role, rows, data.texts, add_texts)
                    passes |= {(data.role, side): (shared, at) for at, side in enumerate(members)}
                    total += len(data.texts)
        return passes, total

    def _judge(
        self,
        prompt: str,
        encoder: LLMEncoder,
        passes: Mapping[tuple[Role, str], tuple[SharedRows, int]],
    ) -> None:
        """Judge one cell; the time of a shared pass counts in equal parts for all sharers."""
        by_role = {
            role: passes[role, side]
            for role in Role
            if (role, side := side_digest(encoder, role)) in passes
        }
        readers = {role: rows.readers[at] for role, (rows, at) in by_role.items()}
        shared = SharedEncoder(encoder, readers)
        all_rows = {id(rows): rows for rows, _ in passes.values()}.values()
        before, started = sum(rows.seconds for rows in all_rows), time.perf_counter()
        folder = self.out / self.prompts.label / prompt
        try:
            record = self._record(shared, folder)
        except ValueError as error:
            self.cells[prompt] = replace(self.cells[prompt], refused=" ".join(str(error).split()))
            return
        judging = time.perf_counter() - started - (sum(rows.seconds for rows in all_rows) - before)
        seconds = {"encode": sum(rows.share for rows, _ in by_role.values()), "judge": judging}
        sharers = {role.value: len(rows.readers) for role, (rows, _) in by_role.items()}
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

        channels = self.request.encoders(shared)
        index = self._index(shared, channels)
        options = self.request.judge_options(folder)
        return judge(self.data, channels, index, options)

    def _index(self, shared: SharedEncoder, channels: Mapping[str, Encoder]) -> Path:
        """Name an index after the documents' side: prompts that share that share the index."""
        place = digest(*channels, self.request.index_facts(shared.fingerprint))
        return self.out / WORK / "indexes" / f"{self.data.name.replace('/', '-')}-{place}.index"
