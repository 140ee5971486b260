"""Score document prompts on documents that are encoded anew: a pool, or the whole collection.

A pool holds every relevant document, the best of each channel of the index for each query, and
some at random. It ranks prompts and is never reported: scores on it are far too high. The prompt
that is chosen is judged on the whole collection.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.shared_prefix import role_fingerprint
from embedder.prompts.prompt import Prompt
from embedder.types import Representation, Role
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.passages import passage_text, spans
from retrieval.retriever import Retriever
from retrieval.run import Run, ranked
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.prompt_encoder import fed_tokens
from tuning.objectives.swept_scores import SweptScores
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

NEAREST, RANDOM = 10, 500
SHORT = 128  # tokens of a document that a search reads


@dataclass(frozen=True, slots=True)
class PooledDocuments:
    """Documents that prompts are judged on.

    Attributes:
        ids: of the documents.
        whole: whether these are all that the index has; else scores rank and are not reported.
        tokens: of a document that are read.
    """

    ids: frozenset[str]
    whole: bool
    tokens: int


def pool_documents(objective: IndexObjective, prompt: Prompt, seed: int) -> PooledDocuments:
    """Choose documents by what the index returns under a prompt.

    Args:
        objective: on the index.
        prompt: the default; its queries are read once, for free: every search needs a pool.
        seed: of the random ones.
    """
    ids = set().union(*objective.data.relevant.values())
    for run in (
        objective.run(prompt, list(objective.data.queries)),
        *objective.fixed_runs.values(),
    ):
        for scores in run.values():
            ids |= {document for document, _ in ranked(scores)[:NEAREST]}
    every = objective.index.ids()
    others = [document for document in every if document not in ids]
    drawn = np.random.default_rng([seed, 81]).permutation(len(others))[:RANDOM]
    pool = ids.intersection(every) | {others[at] for at in drawn.tolist()}
    return PooledDocuments(frozenset(pool), not others, SHORT)


def all_documents(objective: IndexObjective, tokens: int) -> PooledDocuments:
    """Take every document of the index, read to its full length."""
    ids = frozenset(objective.index.ids())
    return PooledDocuments(ids, True, tokens)


@dataclass(frozen=True, slots=True)
class ShortDocumentEncoder:
    """Reads queries whole and documents to another length, for an index that nobody else reads.

    Attributes:
        queries: encoder of queries, whose fingerprint both have.
        documents: encoder of documents.
    """

    queries: LLMEncoder | AdaptedEncoder
    documents: LLMEncoder

    @property
    def fingerprint(self) -> str:
        """That of the queries' encoder."""
        return self.queries.fingerprint

    @property
    def prompt(self) -> Prompt:
        """That of the queries' encoder."""
        return self.queries.prompt

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order."""
        return (self.queries if role is Role.QUERY else self.documents).encode(texts, role)


class PooledObjective:
    """Per-query scores of prompts of both sides; documents are encoded for each document prompt.

    The first scores under a document prompt are charged its documents, which are indexed in a
    temporary folder, cut into passages as those of the index are.
    """

    tells_failures = False

    def __init__(self, inner: IndexObjective, documents: PooledDocuments) -> None:
        """Take the objective on the index, for queries and judgements, and the documents."""
        self.inner, self.documents = inner, documents
        self._folder: Path | None = None
        self._pool: tuple[str, Index] | None = None
        self._charged: dict[str, int] = {}
        self._swept = SweptScores(inner.settings, inner.data)

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores."""
        return np.array([self._scores(prompt, query_ids) for prompt in prompts])

    def _scores(self, prompt: Prompt, query_ids: Sequence[str]) -> Scores:
        if prompt not in self._swept:
            return self.inner.judge(self.run(prompt, query_ids), query_ids)

        def search(ids: Sequence[str]) -> Mapping[str, Run]:
            return self.inner.channel_runs(self._retriever(prompt), ids, self._among(prompt))

        return self._swept.scores(prompt, query_ids, search)

    def reading_key(self, prompt: Prompt) -> str:
        """Return what a query is read by, as the objective on the index does."""
        return self.inner.reading_key(prompt)

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count the tokens of queries in their prompt; documents are apart, see `preparation`."""
        return self.inner.query_cost(prompt, query_ids)

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Return which documents a prompt needs encoded, and what that takes.

        Of documents none where all are needed and the index holds them under this prompt.
        """
        if self._are_held(prompt):
            return self.inner.preparation(prompt)
        encoder = self._encoder(prompt).documents
        key = role_fingerprint(encoder, Role.DOCUMENT)
        if key not in self._charged:
            self._charged[key] = fed_tokens(encoder, list(self._passages()), Role.DOCUMENT)
        return key, Cost(tokens=self._charged[key])

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none: failures of a pool are not those of the collection."""
        return []

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search the documents for queries under a prompt."""
        return self.inner.search(self._retriever(prompt), prompt, query_ids, self._among(prompt))

    def _retriever(self, prompt: Prompt) -> Retriever:
        if self._are_held(prompt):
            return self.inner.retriever(prompt, self.inner.index)
        encoder, (key, _) = self._encoder(prompt), self.preparation(prompt)
        return self.inner.retriever(prompt, self._index(key, encoder), encoder)

    def _among(self, prompt: Prompt) -> frozenset[str] | None:
        """Return the documents that other channels may return; None is all."""
        return None if self._are_held(prompt) else self.documents.ids

    def _are_held(self, prompt: Prompt) -> bool:
        return self.documents.whole and self.inner.holds(prompt)

    def _encoder(self, prompt: Prompt) -> ShortDocumentEncoder:
        encoder = self.inner.encoder(prompt)
        assert isinstance(encoder, LLMEncoder | AdaptedEncoder), encoder  # see `space_of`
        plain = encoder.inner if isinstance(encoder, AdaptedEncoder) else encoder
        options = replace(plain.options, max_text_tokens=self.documents.tokens)
        return ShortDocumentEncoder(encoder, LLMEncoder(plain.backbone, plain.prompt, options))

    def _index(self, key: str, encoder: ShortDocumentEncoder) -> Index:
        """Return the index of the documents under a prompt; the last one is kept."""
        if self._pool is not None:
            if self._pool[0] == key:
                return self._pool[1]
            self._pool[1].close()
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="lastword-pool-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        specs = self.inner.index.channels
        channels = {  # dense rows are searched exactly, as every prompt deserves
            name: ChannelOptions(
                specs[name].kind, specs[name].factory and "Flat", specs[name].weighting
            )
            for name in self.inner.tuned
        }
        options = BuildOptions(
            channels, on_empty="keep", passages=self.inner.index.passages, resume=False,
            overwrite=True,
        )  # fmt: skip
        encoders = dict.fromkeys(self.inner.tuned, encoder)
        build_index(self._documents(), encoders, self._folder, options)
        self._pool = key, Index.open(self._folder)
        return self._pool[1]

    def _documents(self) -> Iterator[Document]:
        return (
            document for document in self.inner.index.stream() if document.id in self.documents.ids
        )

    def _passages(self) -> Iterator[str]:
        for document in self._documents():
            for span in spans(document.text, self.inner.index.passages):
                yield passage_text(document, span)
