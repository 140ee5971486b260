"""A look through a source before a model is loaded, and what was left unread of one."""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from embedder.files.lines import shorten
from lastword.cli.screen import Screen, counted

if TYPE_CHECKING:
    from eval.data.collections import Collection
    from eval.data.qrels import Qrels
    from eval.data.sources import JoinedSources
    from eval.runs.record import Record
    from index.folder import Index

OnEmpty = Literal["error", "skip", "keep"]
STEP = 1000  # documents between two movements of the bar


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look through a source found.

    Attributes:
        documents: how many there are; None where they are not known before they are read.
        remarks: on what is empty or missing.
    """

    documents: int | None
    remarks: tuple[str, ...] = ()

    def tell(self, screen: Screen) -> None:
        """Show the remarks; the command calls it when nothing can stop it any more."""
        for remark in self.remarks:
            screen.remark(remark)


def look_through(
    collection: "Collection | JoinedSources",
    screen: Screen,
    on_empty: OnEmpty = "keep",
    judged: "Qrels | None" = None,
    quick: bool = False,
) -> Survey:
    """Count the documents of a source: a broken line is better found now than hours later.

    A data set that is fetched by name is not read twice: that its first document is there shows
    that it can be fetched. Nor are files that take long to read, such as PDFs: they are parsed
    beside the encoding. Nor is anything where indexing takes no longer than the look through it.

    Args:
        collection: to be indexed.
        screen: shows progress.
        on_empty: whether a document without title and text is an error.
        judged: judgements, to say how many of their relevant documents are not there.
        quick: whether no model reads the documents, and nothing is to be said of them.

    Raises:
        ValueError: there are no documents, or one is empty and may not be; names file and line.
    """
    from eval.data.downloads import IrDataset
    from eval.data.local import CORPUS, BeirFolder
    from eval.data.sources import JoinedSources
    from retrieval.sources.collection import FileSource

    collection = _only_part(collection)
    if isinstance(collection, IrDataset):
        next(collection.documents(), None)
        return Survey(collection.documents_count)
    assert isinstance(collection, BeirFolder | JoinedSources | FileSource)
    if quick or (isinstance(collection, JoinedSources) and not collection.plain):
        return Survey(None)
    name = "The source" if isinstance(collection, JoinedSources) else collection.name
    total, empty = 0, 0
    answers = _relevant(judged or {})
    sought = len(answers)
    with screen.progress("Looking through", None, "documents") as advance:
        for place, document in collection.placed_documents():
            if not document.content:
                _check_empty(document.id, place, on_empty)
                empty += 1
            answers.discard(document.id)
            total += 1
            if total % STEP == 0:
                advance(total)
    if not total:
        corpus = str(collection.path / CORPUS) if isinstance(collection, BeirFolder) else name
        raise ValueError(f"{corpus} holds no documents")
    remarks = []
    if empty and on_empty == "keep":
        remarks.append(f"{name}: {counted(empty, 'document')} without title and text.")
    if answers:
        remarks.append(_missing(name, answers, sought))
    return Survey(total, tuple(remarks))


def check_folder_of(path: Path) -> None:
    """Refuse a file that could not be written, before the work that fills it.

    Raises:
        ValueError: its folder is not there, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is no folder; make it first, {path.name} goes there")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a file")


def tell_escaped(escaped: int, path: Path, screen: Screen) -> None:
    """Say that ids in a TREC file are not spelled as they are."""
    if escaped:
        screen.remark(
            f"{path}: {counted(escaped, 'id')} with white space or the like; there a space is "
            "written %20, which lastword undoes when it reads the file."
        )


def tell_rebuilt(name: str, state: str, screen: Screen) -> None:
    """Say that an index was of other documents than there are now."""
    if state == "rebuilt":
        screen.remark(
            f"{name}: the documents have changed since they were indexed; the index was made again."
        )


def keep_unchanged(
    finished: "Mapping[str, Record]",
    sources: "Mapping[str, Callable[[], Mapping[str, str]]]",
    screen: Screen,
) -> "dict[str, Record]":
    """Keep the records of data that are as they were when they were judged.

    Args:
        finished: data set -> record, of a run folder.
        sources: data set -> what gives the digests of its data as they are now.
        screen: what is judged again is told there.
    """
    records = dict(finished)
    for name in sources.keys() & records.keys():
        if records[name].details.get("source") != sources[name]():
            del records[name]
            screen.remark(
                f"{name}: its texts or judgements are not known to be those that were judged "
                "before; it is judged again."
            )
    return records


def _only_part(collection: "Collection | JoinedSources") -> "Collection | JoinedSources":
    """Return the one data set that sources are; files stay as they are."""
    from eval.data.sources import JoinedSources
    from retrieval.sources.collection import FileSource

    if not isinstance(collection, JoinedSources) or len(collection.parts) > 1:
        return collection
    only = collection.parts[0]
    return collection if isinstance(only, FileSource) else only


def _missing(name: str, answers: set[str], sought: int) -> str:
    return (
        f"{name}: {len(answers):,} of {sought:,} documents that are judged relevant "
        f"are not among the documents, e.g. {shorten(min(answers))}; nothing can find them."
    )


def _relevant(judged: "Qrels") -> set[str]:
    return {doc for gains in judged.values() for doc, gain in gains.items() if gain > 0}


def _check_empty(document_id: str, place: str, on_empty: OnEmpty) -> None:
    if on_empty == "error":
        raise ValueError(
            f"{place}: document {shorten(document_id)} has neither title nor text; leave such "
            "documents out or keep them: --on-empty skip or keep"
        )


def unfinished_text(index: "Index") -> str:
    """Say what was interrupted, with the command that finishes it; "" where nothing was."""
    from index.storage.milvus_address import is_milvus

    work = index.unfinished
    if work is None:
        return ""
    path = shlex.quote(str(index.path))
    if is_milvus(index.path):
        return f"a push to {index.path} was interrupted; lastword push INDEX --to {path} ends it"
    again = f"index SOURCE -o {path}" if work.kind == "build" else f"add {path} SOURCE"
    documents = counted(index.documents, "document")
    return (
        f"{index.path} is not finished: {documents} can be found so far; give the command of the "
        f"interrupted {work.kind} again, lastword {again}"
    )
