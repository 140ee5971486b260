"""What an export and an import are told, and what they report."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from embedder.arguments import check_fields


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is written of an index.

    Attributes:
        channels: those that are written; by default the first of each kind that the format holds.
        queries: query id -> text; encoded as a search does, and written beside the documents.
        qrels: query id -> document id -> gain; only BEIR's folder holds them.
        scale: weights of terms become rint(scale * weight) where a format has whole numbers only,
            unless they are whole already; PromptReps takes 100.
        overwrite: replace files of these names.

    >>> options = lw.ExportOptions(("bm25",), queries={"q": "rotate a key"})
    >>> lw.export_index(index.path, "jsonvector", "words", options).files
    ('words/corpus/corpus_0.jsonl', 'words/query/query.tsv')
    """

    channels: tuple[str, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    scale: int = 100
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.scale < 1:
            raise ValueError(f"weights are multiplied by a scale of at least 1; got {self.scale}")


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written.

    Attributes:
        format: name of it.
        files: their paths.
        documents: number of documents.
        channels: those whose rows were written.
        counts: what did not go over as it was -> how many: "rounded_away" weights, "escaped_ids"
            with white space, "parted_documents" of several rows, ...
    """

    format: str
    files: tuple[str, ...]
    documents: int
    channels: tuple[str, ...]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How the rows of another program become an index.

    Attributes:
        channel: name of the sparse channel: "bm25" takes weights as counts and weighs them by
            BM25, "sparse" takes them as they are.
        normalize: scale vectors to unit length, instead of refusing others: what was ranked by
            inner product is then ranked by cosine.
        factory: FAISS factory of the dense channel.
        overwrite: replace a complete index.

    >>> _ = lw.export_index(index.path, "npz", "arrays")
    >>> lw.import_index("npz", "arrays", "quick.index", options=lw.ImportOptions(factory="HNSW32"))
    ImportReport(format='npz', documents=2, rows={'dense': 2, 'sparse': 2}, counts={}, ...)
    """

    channel: str = ""
    normalize: bool = False
    factory: str = "Flat"
    overwrite: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.channel not in ("", "sparse", "bm25"):
            raise ValueError(f"a sparse channel is called sparse or bm25; got {self.channel!r}")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import made.

    Attributes:
        format: name of it.
        documents: number of documents.
        rows: channel -> rows.
        counts: what did not come over as it was -> how many: "normalized" vectors,
            "other_lengths" of documents, ...
        searched_by_text: channels whose encoder the index knows.
    """

    format: str
    documents: int
    rows: Mapping[str, int]
    counts: Mapping[str, int]
    searched_by_text: tuple[str, ...]
