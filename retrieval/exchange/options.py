"""What an export and an import are told, and what they report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from embedder.arguments import check_fields
from embedder.checkpoints.trust import ModelAccess
from embedder.types import Encoder
from index.documents import Document
from index.storage.layout import DenseDtype


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
        encoders: channel -> encoder, where the index does not say which it is.
        access: where models run, and which are allowed.

    >>> options = lw.ExportOptions(("bm25",), queries={"q": "rotate a key"})
    >>> lw.export_index(index.path, "jsonvector", "words", options).files
    ('words/corpus/corpus_0.jsonl', 'words/query/query.tsv')
    """

    channels: tuple[str, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict)
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    scale: int = 100
    overwrite: bool = False
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    access: ModelAccess = field(default_factory=ModelAccess)

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
        dtype: of its numbers, see `index.manifest.ChannelSpec`.
        overwrite: replace a complete index.
        encoders: channel -> encoder that made its rows, to search by text. Without one, what the
            file says of itself counts; else vectors are searched from Python, by vectors, and
            terms by terms with spaces between.
        access: where models run, and which the file may name.
        texts: documents that the rows belong to, by id, for files without texts; read once.

    >>> _ = lw.export_index(index.path, "npz", "arrays")
    >>> lw.import_index("npz", "arrays", "quick.index", options=lw.ImportOptions(factory="HNSW32"))
    ImportReport(format='npz', documents=2, rows={'dense': 2, 'sparse': 2}, counts={}, ...)
    """

    channel: str = ""
    normalize: bool = False
    factory: str = "Flat"
    dtype: DenseDtype = "float32"
    overwrite: bool = False
    encoders: Mapping[str, Encoder] = field(default_factory=dict)
    access: ModelAccess = field(default_factory=ModelAccess)
    texts: Iterable[Document] = ()

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
        searched_by_terms: channels that are searched by terms as the source has them, with spaces
            between, since nobody said which model or analysis made them.
    """

    format: str
    documents: int
    rows: Mapping[str, int]
    counts: Mapping[str, int]
    searched_by_text: tuple[str, ...]
    searched_by_terms: tuple[str, ...]
