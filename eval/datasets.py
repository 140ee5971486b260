"""Collections to search and judge: what one is, and how it is found by path or name."""

import difflib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from eval.beir_names import BEIR, BeirSet, split_name
from eval.local import BeirFolder, TextFolder
from eval.measures import Qrels
from index.documents import Document


class Collection(Protocol):
    """Documents, and perhaps queries with judgements; each call reads from the source anew."""

    @property
    def name(self) -> str:
        """What results are filed under, e.g. "scifact", or "scifact/train" for another split."""
        ...

    def documents(self) -> Iterator[Document]:
        """Stream the documents in the source's order, each id once."""
        ...

    def queries(self) -> dict[str, str]:
        """Return the texts of the judged queries; ValueError where there are none."""
        ...

    def qrels(self) -> Qrels:
        """Return the judgements of the split; ValueError where there are none."""
        ...


class BeirDownload:
    """A BEIR collection through ir_datasets, which fetches it on first use and keeps it.

    Set IR_DATASETS_HOME to choose where it is kept.
    """

    def __init__(self, beir_set: BeirSet, split: str | None = None) -> None:
        split = split or beir_set.reported
        self.beir_set = beir_set
        self.name = split_name(beir_set.name, split)
        self.ir_dataset = beir_set.ir_dataset(split)

    def documents(self) -> Iterator[Document]:
        """Stream the documents; a collection without titles has empty ones."""
        for doc in self._read("docs_iter"):
            yield Document(doc.doc_id, getattr(doc, "title", None) or "", doc.text)

    def queries(self) -> dict[str, str]:
        """Read the judged queries."""
        judged = self.qrels()
        return {
            query.query_id: query.text
            for query in self._read("queries_iter")
            if query.query_id in judged
        }

    def qrels(self) -> Qrels:
        """Read the judgements of the split."""
        qrels: Qrels = {}
        for judgement in self._read("qrels_iter"):
            qrels.setdefault(judgement.query_id, {})[judgement.doc_id] = int(judgement.relevance)
        return qrels

    @cached_property
    def _dataset(self) -> Any:  # noqa: ANN401  (ir_datasets carries no types)
        try:
            import ir_datasets
        except ImportError as error:
            raise ValueError(
                "BEIR by name needs ir_datasets: pip install ir_datasets; or give the path of "
                "a BEIR folder"
            ) from error
        return ir_datasets.load(self.ir_dataset)

    def _read(self, method: str) -> Iterator[Any]:
        try:
            yield from getattr(self._dataset, method)()
        except RuntimeError as error:  # what ir_datasets raises when a download fails
            raise OSError(
                f"{self.ir_dataset} could not be fetched: {error}; with a copy of BEIR's folder "
                "on this disk, give its path instead of the name"
            ) from error


def open_collection(source: str | Path, split: str | None = None) -> Collection:
    """Find a collection by path or by BEIR name; a path that exists comes first.

    Args:
        source: a BEIR folder, a folder or file of .txt, .md or .jsonl, or a name like
            "scifact", "cqadupstack/tex" or "beir/scifact".
        split: which judgements; by default "test", or for a BEIR set the split whose figures
            are published.

    Raises:
        ValueError: neither a path nor a BEIR name, or a split that the named set lacks.
    """
    path = Path(source)
    if (path / "corpus.jsonl").is_file():
        return BeirFolder(path, split)
    if path.exists():
        return TextFolder(path)
    name = str(source).removeprefix("beir/")
    if name in BEIR:
        return BeirDownload(BEIR[name], split)
    near = difflib.get_close_matches(name.lower(), BEIR, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"the names are {', '.join(BEIR)}"
    raise ValueError(f"{str(source)!r} is neither a path here nor a BEIR name; {hint}")
