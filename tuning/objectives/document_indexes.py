"""Temporary indexes of some documents, read anew under each prompt that is tried."""

import shutil
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from embedder.encoders.cached import CachedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import group_prompts, role_fingerprint
from embedder.inputs.text_measure import TextMeasure
from embedder.prompts.prompt import Prompt
from embedder.types import Representation, Role, inner_encoder
from eval.matrix.shared_encoder import SharedRows, digest
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.passages.held import held_texts
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.prompt_encoder import PromptEncoder
from tuning.search.budget import NOTHING, Cost

KEPT = 16  # indexes that lie on disk and are open; rows of all prompts are kept


@dataclass(frozen=True, slots=True)
class PooledDocuments:
    """Documents that prompts are judged on.

    Attributes:
        ids: of the documents.
        whole: whether these are all that the index has; else scores rank and are not reported.
        tokens: of a document that are read.
        filling: what choosing them took.
    """

    ids: frozenset[str]
    whole: bool
    tokens: int
    filling: Cost = NOTHING


@dataclass(frozen=True, slots=True)
class ShortDocumentEncoder:
    """Reads queries whole and documents to another length, for an index that nobody else reads.

    Attributes:
        queries: encoder of queries, whose fingerprint both have.
        documents: encoder of documents, whose rows are kept on disk.
    """

    queries: PromptEncoder
    documents: CachedEncoder

    @property
    def fingerprint(self) -> str:
        """That of the queries' encoder."""
        return self.queries.fingerprint

    @property
    def measure(self) -> TextMeasure | None:
        """How long documents are, which are cut as those of the index were."""
        measure: TextMeasure | None = getattr(inner_encoder(self.queries), "measure", None)
        return measure

    @property
    def prompt(self) -> Prompt | None:
        """That of the queries' encoder."""
        return self.queries.prompt

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order."""
        return (self.queries if role is Role.QUERY else self.documents).encode(texts, role)


class DocumentIndexes:
    """Indexes of the same documents under several prompts, in a folder that goes with the object.

    Documents are cut into passages as those of the index are, and dense rows are searched
    exactly, as every prompt deserves.
    """

    def __init__(self, objective: IndexObjective, documents: PooledDocuments) -> None:
        """Take the objective on the index, and the documents."""
        self._objective, self._pool = objective, documents
        self._readers: dict[str, CachedEncoder] = {}
        self._open: OrderedDict[str, Index] = OrderedDict()

    @cached_property
    def passages(self) -> list[str]:
        """The texts that are encoded."""
        return list(held_texts(self._objective.index, self._pool.ids))

    def read_together(self, encoders: Sequence[LLMEncoder]) -> None:
        """Let encoders share what they read alike, once the documents of one are asked for."""
        for group in group_prompts(encoders, Role.DOCUMENT):
            shared = SharedRows(group, Role.DOCUMENT, self._folder / "rows")
            for encoder, reader in zip(group, shared.readers, strict=True):
                self._readers.setdefault(role_fingerprint(encoder, Role.DOCUMENT), reader)

    def index(self, queries: PromptEncoder, documents: LLMEncoder) -> Index:
        """Return the index of the documents as an encoder reads them; made where it is not there.

        Args:
            queries: encoder of a prompt that reads documents so.
            documents: likewise.
        """
        key = role_fingerprint(documents, Role.DOCUMENT)
        if key not in self._open:
            if key not in self._readers:
                self.read_together([documents])
            encoder = ShortDocumentEncoder(queries, self._readers[key])
            self._open[key] = self._build(key, encoder)
        self._open.move_to_end(key)
        while len(self._open) > KEPT:
            oldest, index = self._open.popitem(last=False)
            index.close()
            shutil.rmtree(self._place(oldest))
        return self._open[key]

    def _build(self, key: str, encoder: ShortDocumentEncoder) -> Index:
        inner = self._objective
        specs = inner.index.channels
        channels = {
            name: ChannelOptions(
                specs[name].kind, specs[name].factory and "Flat", specs[name].weighting
            )
            for name in inner.tuned
        }
        options = BuildOptions(
            channels, on_empty="keep", passages=inner.index.passages, resume=False, overwrite=True
        )
        encoders = dict.fromkeys(inner.tuned, encoder)
        build_index(self._documents(), encoders, self._place(key), options)
        return Index.open(self._place(key))

    def _documents(self) -> Iterator[Document]:
        stream = self._objective.index.stream()
        return (document for document in stream if document.id in self._pool.ids)

    def _place(self, key: str) -> Path:
        return self._folder / digest(key)

    @cached_property
    def _folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="lastword-pool-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return folder
