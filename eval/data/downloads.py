"""Data sets by name through ir_datasets, which fetches what is not on this disk and keeps it.

S. MacAvaney et al., "Simplified Data Wrangling with ir_datasets", SIGIR 2021.
"""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from typing import Any

from embedder.files.name_lists import suggest_names
from eval.data.beir import BEIR, BeirSet, split_name
from eval.data.qrels import Qrels
from index.documents import Document
from retrieval.sources.fields import as_json

PREFIX = "ir:"
NANO = "nano-beir"
_NANO_NAMES = (NANO, "nanobeir")
_PATIENCE = {"IR_DATASETS_DL_TRIES": "2", "IR_DATASETS_DL_TIMEOUT": "10"}
_HOST = re.compile(r"host='([^']+)'|https?://([^/\s']+)")
_NOISE = ("download error", "Download failed", "[starting]", "[finished]", "[error]")
_LONGEST = 1000  # characters of a field that is metadata; longer ones are copies of the document


class IrDataset:
    """A data set of ir_datasets: documents, and perhaps judged queries.

    The title of a document is its field `title`; its text is what `default_text()` gives, without
    that title in front, or all other fields that hold text, a line each. Short fields that are in
    neither are metadata. The text of a query is `default_text()`, else `text`, `query` or `title`.
    Of several judgements of a document, as of subtopics, the highest counts.

    Set IR_DATASETS_HOME to choose where it is kept.

    Attributes:
        ir_dataset: its id in ir_datasets.
        name: of its results.

    Raises:
        ValueError: there is no such data set, or it has no documents.
    """

    def __init__(self, ir_dataset: str, name: str = "") -> None:
        self.ir_dataset = ir_dataset
        self.name = name or ir_dataset
        if not name:
            _check_known(ir_dataset)
            if not self._dataset.has_docs():
                raise ValueError(f"{PREFIX}{ir_dataset} holds no documents; {_below(ir_dataset)}")

    @property
    def documents_name(self) -> str:
        """The name of the documents, which several data sets share."""
        return str(_library().docs_parent_id(self.ir_dataset))

    @property
    def is_judged(self) -> bool:
        """Whether it has queries and judgements."""
        return bool(self._dataset.has_queries() and self._dataset.has_qrels())

    @property
    def documents_count(self) -> int | None:
        """Number of documents, as far as ir_datasets knows it without reading them."""
        count = self._dataset.docs_metadata().get("count")
        return count if isinstance(count, int) else None

    def documents(self) -> Iterator[Document]:
        """Stream the documents.

        Raises:
            OSError: they cannot be fetched; so do `queries` and `qrels`.
        """
        return map(_document, self._records("docs_iter"))

    def queries(self) -> dict[str, str]:
        """Read the judged queries."""
        qrels = self.qrels()
        return {
            query.query_id: _query_text(query)
            for query in self._records("queries_iter")
            if query.query_id in qrels
        }

    def qrels(self) -> Qrels:
        """Read the judgements."""
        qrels: Qrels = {}
        for judgement in self._records("qrels_iter"):
            gains = qrels.setdefault(judgement.query_id, {})
            gain = int(judgement.relevance)
            gains[judgement.doc_id] = max(gain, gains.get(judgement.doc_id, gain))
        return qrels

    @cached_property
    def _dataset(self) -> Any:  # noqa: ANN401  (ir_datasets carries no types)
        return _library().load(self.ir_dataset)

    def _records(self, method: str) -> Iterator[Any]:
        records = getattr(self._dataset, method, None)
        if records is None:
            kind = "judgements" if method == "qrels_iter" else "queries"
            raise ValueError(f"{PREFIX}{self.ir_dataset} has no {kind}; {_below(self.ir_dataset)}")
        try:
            yield from records()
        except Exception as error:  # of the network, of damaged files, of missing packages
            raise OSError(
                f"{self.ir_dataset} could not be fetched: {_reason(error, self.ir_dataset)}; "
                "with a copy of its files on this disk, give its path instead of the name"
            ) from error


class BeirDownload(IrDataset):
    """A BEIR collection through ir_datasets.

    Attributes:
        beir_set: which.
    """

    def __init__(self, beir_set: BeirSet, split: str | None = None) -> None:
        if beir_set.megabytes is None:
            raise ValueError(
                f"{beir_set.name} cannot be downloaded ({beir_set.licence}); make a BEIR folder "
                "of it as BEIR's examples/dataset/README.md says, and give its path"
            )
        split = split or beir_set.reported
        self.beir_set = beir_set
        super().__init__(beir_set.ir_dataset(split), split_name(beir_set.name, split))

    @property
    def documents_name(self) -> str:
        """The name of the set, of whatever split."""
        return self.beir_set.name

    @property
    def documents_count(self) -> int | None:
        """Number of documents."""
        return self.beir_set.documents

    def documents(self) -> Iterator[Document]:
        """Stream the documents; a collection without titles has empty ones."""
        for doc in self._records("docs_iter"):
            yield Document(doc.doc_id, getattr(doc, "title", None) or "", doc.text or "")


def is_download(source: str) -> bool:
    """Tell whether a source is written as the id of a data set is: "ir:ID" or "nanobeir/NAME"."""
    return source.startswith(PREFIX) or source.partition("/")[0].lower() in _NANO_NAMES


def open_download(source: str, split: str | None = None) -> IrDataset:
    """Open a data set by its id; one of BEIR is the same as by its BEIR name.

    Args:
        source: "ir:" and an id of ir_datasets, or "nanobeir/NAME".
        split: which of the data sets below that id; by default the id itself.

    Raises:
        ValueError: there is no such data set, or it has no documents.
    """
    name = source.removeprefix(PREFIX).strip("/")
    first, _, rest = name.partition("/")
    if first.lower() in _NANO_NAMES:
        name = f"{NANO}/{rest.lower()}" if rest else NANO
    for beir_set in BEIR.values():
        if name == f"beir/{beir_set.hub_name or beir_set.name}":
            return BeirDownload(beir_set, split)
        for each in beir_set.splits if split is None else ():
            if name == beir_set.ir_dataset(each):
                return BeirDownload(beir_set, each)
    return IrDataset(f"{name}/{split}" if split else name)


def nano_names(source: str) -> Sequence[str]:
    """Return the thirteen collections of NanoBEIR where it is named as a whole; else nothing."""
    if source.removeprefix(PREFIX).strip("/").lower() not in _NANO_NAMES:
        return ()
    return [f"{PREFIX}{name}" for name in _known_names() if name.startswith(f"{NANO}/")]


@cache
def _library() -> Any:  # noqa: ANN401  (a module without types)
    """Import ir_datasets; it gives up in seconds, and leaves it to us to say why."""
    try:
        import ir_datasets
    except ImportError as error:
        raise ValueError(
            "data sets by name need ir_datasets: pip install ir_datasets; or give the path of a "
            "folder"
        ) from error
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    logger = logging.getLogger("ir_datasets")
    logger.addFilter(lambda record: not record.getMessage().startswith(_NOISE))
    return ir_datasets


def _known_names() -> list[str]:
    return list(_library().registry)


def _check_known(name: str) -> None:
    try:
        _library().registry[name]
    except KeyError as error:
        otherwise = "https://ir-datasets.com lists them"
        known = [f"{PREFIX}{each}" for each in _known_names()]
        hint = suggest_names(f"{PREFIX}{name}", known, otherwise)
        raise ValueError(f"ir_datasets has no data set {name!r}; {hint}") from error


def _below(name: str) -> str:
    """Say which data sets with judgements are below an id."""
    registry = _library().registry
    names = [each for each in _known_names() if each.startswith(f"{name}/")]
    judged = [each for each in names if registry[each].has_docs() and registry[each].has_qrels()]
    if not judged:
        return "https://ir-datasets.com says what each holds"
    shown = ", ".join(f"{PREFIX}{each}" for each in judged[:3])
    return f"those with judgements below it: {shown}{', ...' if len(judged) > 3 else ''}"


def _document(record: Any) -> Document:  # noqa: ANN401  (a named tuple of ir_datasets)
    fields = record._asdict()
    doc_id = fields.pop("doc_id")
    title = fields.pop("title", None)
    if hasattr(record, "default_text"):
        text = record.default_text() or ""
        if "title" in record._fields and text.startswith(str(title)):
            text = text[len(str(title)) :]
            text = text[1:] if text[:1].isspace() else text
    else:
        text = "\n".join(value for value in fields.values() if isinstance(value, str) and value)
    metadata = {
        name: as_json(value)
        for name, value in fields.items()
        if not isinstance(value, bytes) and _is_beside(value, text)
    }
    return Document(doc_id, title or "", text, metadata)


def _is_beside(value: Any, text: str) -> bool:  # noqa: ANN401  (a field of any type)
    """Tell whether a field is short, and no part of the text."""
    if isinstance(value, str):
        return 0 < len(value) <= _LONGEST and value not in text
    if isinstance(value, list | tuple):
        simple = all(isinstance(each, str | int | float) for each in value)
        return bool(value) and simple and sum(len(str(each)) for each in value) <= _LONGEST
    return isinstance(value, int | float)


def _query_text(query: Any) -> str:  # noqa: ANN401  (a named tuple of ir_datasets)
    if hasattr(query, "default_text"):
        return query.default_text() or ""
    names = [name for name in ("text", "query", "title") if name in query._fields]
    if not names:
        fields = ", ".join(query._fields)
        raise ValueError(f"its queries have no text; their fields are {fields}")
    return getattr(query, names[0]) or ""


def _reason(error: Exception, name: str) -> str:
    """Say in a few words why something could not be fetched."""
    tried = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], list) else []
    faults = [fault for _, fault in tried if not isinstance(fault, FileNotFoundError)]
    error = faults[-1] if faults else error
    text = " ".join(str(error).split())
    if isinstance(error, FileNotFoundError):
        page = name.partition("/")[0]
        return (
            f"{error.filename or text} is not there; such files are given out by their owners, "
            f"as https://ir-datasets.com/{page}.html says"
        )
    if isinstance(error, EOFError):
        return "it needs a user name and a password, which ir_datasets keeps in auth/ of its home"
    kinds = " ".join(kind.__name__ for kind in type(error).__mro__)
    if ("Connect" in kinds or "Timeout" in kinds) and (host := _HOST.search(text)):
        return f"{host[1] or host[2]} cannot be reached"
    return text[:300] or type(error).__name__
