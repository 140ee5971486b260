"""Retriever: queries are encoded, every channel is searched, and the runs become one."""

import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from functools import cached_property, partial

import numpy as np

from embedder.arguments import check_count, check_kind, check_text
from embedder.types import Encoder, Representation, Role
from index.folder import Index
from retrieval.explain import ChannelPart, Explanation, heaviest_words, match_document, sum_terms
from retrieval.feedback.expand import expand_channels
from retrieval.feedback.read import AnyFeedback, Feedback, read_feedback
from retrieval.fusion import Fusion, fusion_by_name
from retrieval.fusion_choice import AUTO, fusion_for
from retrieval.named_texts import encode_named
from retrieval.pseudo_queries import read_query_fit
from retrieval.run import Run, SearchResult, cut, ranked, sum_rows, to_run

DEPTH = 1000  # documents that each channel contributes to the fusion, as in TREC
_BATCH = 256  # queries at a time: bounds the hits in memory, and is plenty for any encoder
_ONLY = "query"  # id of the one query that is explained

Seconds = defaultdict[str, float]


class Retriever:
    """Searches an index with the encoders that made it.

    Args:
        index: opened; closed by the caller, or by `close`.
        encoders: channel -> encoder, any of the index's channels; runs are fused in this order,
            and channels with the same object are encoded in one pass.
        fusion: as `fusion_by_name` reads it, or a function runs -> run; "auto" is that chosen for
            the index, else that a prompt was measured with, else the default, as the commands
            have it. One channel stays as it is.
        depth: documents that each channel contributes to fusion.
        any_query_prompt: queries may be encoded with other prompts than the index allows, to find
            out the worth of such a prompt.

    Warns:
        UserWarning: the index is not finished, so that it lacks documents.

    Attributes:
        fusion: the one in use, as it is written; "" for a function.
        depth: documents that each channel contributes to fusion.
        feedback: how queries learn from what they find first; None is not at all.
        unexpanded: channel -> queries so far that could not learn, and were searched as they were;
            all retrievers that `with_feedback` returns count together.

    Raises:
        ValueError: a channel is unknown, or its rows were made by another encoder; or there is
            no such fusion of these channels.
    """

    def __init__(
        self,
        index: Index,
        encoders: Mapping[str, Encoder],
        fusion: str | Fusion = AUTO,
        depth: int = DEPTH,
        any_query_prompt: bool = False,
    ) -> None:
        if not callable(fusion):
            check_text(fusion, "fusion")
        depth = check_count(depth, "depth")
        if not encoders or depth < 1:
            raise ValueError(
                f"a search needs a channel and a depth of at least 1; "
                f"got channels {list(encoders)}, depth {depth}"
            )
        specs = index.channels
        for name, encoder in encoders.items():
            if name not in specs:
                raise ValueError(f"{index.path} has no channel {name!r}; it has {', '.join(specs)}")
            free = any_query_prompt or specs[name].query_prompt_free
            spec = replace(specs[name], query_prompt_free=free)
            spec.check_encoder(encoder.fingerprint, querying=True)
        if index.unfinished is not None:
            warnings.warn(
                f"{index.path} is not finished, it holds {index.documents} documents; give the "
                f"call or command that made it again, with the same documents",
                stacklevel=2,
            )
        self.index = index
        self.encoders = dict(encoders)
        self.feedback: Feedback | None = None
        self.unexpanded: Counter[str] = Counter()
        self.fusion, self._fuse = self._fusion_of(fusion)
        self.depth = depth
        self._row_ids = {name: index.row_ids(name) for name in encoders}

    def __enter__(self) -> "Retriever":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index."""
        self.index.close()

    def with_feedback(self, feedback: AnyFeedback) -> "Retriever":
        """Return a retriever of the same open index, with feedback or without.

        Args:
            feedback: as `read_feedback` reads it, or what it returns; "" is None.

        Raises:
            TypeError: it is neither.
            ValueError: it cannot be read.
        """
        check_kind(feedback, AnyFeedback, "feedback", "a text, or of read_feedback")
        other = copy(self)
        other.feedback = read_feedback(feedback) if isinstance(feedback, str) else feedback
        return other

    def search(self, queries: Mapping[str, str], k: int) -> Run:
        """Return the k best documents of every query; a query may have none.

        Args:
            queries: query id -> text.
            k: at least 1.

        Raises:
            ValueError: the text of a query is empty.
        """
        return self.answer(queries, k).run

    def channel_runs(self, queries: Mapping[str, str], k: int) -> dict[str, Run]:
        """Return the k best documents of every query, per channel."""
        return self._channel_runs(queries, k, Seconds(float))

    def answer(self, queries: Mapping[str, str], k: int) -> SearchResult:
        """Search, and keep the run and the time of each channel."""
        if k < 1:
            raise ValueError(f"a search is for at least 1 document; got k={k}")
        seconds = Seconds(float)
        runs = self._channel_runs(queries, max(k, self.depth), seconds)
        with timed(seconds, "fuse"):
            fused = self.fuse(list(runs.values()))
        return SearchResult(cut(fused, k), runs, dict(seconds))

    def fuse(self, runs: Sequence[Run]) -> Run:
        """Fuse the runs of all channels, given in their order; one channel stays as it is."""
        return self._fuse(runs) if len(runs) > 1 else runs[0]

    def _fusion_of(self, fusion: str | Fusion) -> tuple[str, Fusion]:
        """Return a fusion of the channels as it is written, and as a function."""
        if not isinstance(fusion, str):
            return "", fusion
        channels = list(self.encoders)
        text = fusion_for(fusion, self.encoders, self.index.manifest.fusion)
        kinds = self.index.channels
        lexical = [name for name in channels if kinds[name].kind == "inverted"]
        return text, fusion_by_name(text, channels, lexical)

    def explain(
        self, query: str, document_id: str, words: int = 20, pieces: bool = False
    ) -> Explanation:
        """Score a document for a query in every channel, with the words that carried it.

        Args:
            query: text.
            document_id: a live document, found by the search or not.
            words: number of words to name per channel, the heaviest first.
            pieces: name the pieces of words that a model knows, with the marks on them.

        Raises:
            ValueError: the document is unknown, or the query is empty.
        """
        document = self.index.document(document_id)
        _check_queries({_ONLY: query})
        encoded, found = self._expanded(self._encoded({_ONLY: query}, Seconds(float)), [_ONLY])
        runs = {
            name: self._searched(name, rows, [_ONLY], self.depth) for name, rows in encoded.items()
        }
        parts = []
        for name, rows in encoded.items():
            match = match_document(self._plain_index, name, rows, document_id)
            name_words = partial(heaviest_words, self.encoders[name], limit=words, pieces=pieces)
            first = found[name][_ONLY] if found else {}
            learnt = [self.index.document(each).content for each in first]
            order = [doc for doc, _ in ranked(runs[name][_ONLY])]
            part = ChannelPart(
                name=name,
                score=match.score,
                rank=order.index(document_id) + 1 if document_id in order else None,
                share=self._share(name, runs, document_id),
                words=name_words(match.terms, [query, document.content]),
                passage=match.passage,
                query=name_words(sum_terms(rows), [query, *learnt]) if self.feedback else (),
            )
            parts.append(part)
        fused = self.fuse(list(runs.values()))
        return Explanation(query, document, fused[_ONLY].get(document_id, 0.0), tuple(parts))

    @cached_property
    def _preparing_index(self) -> Index:
        """The index, as it changes the queries of these encoders."""
        specs = self.index.channels
        read = {name: read_query_fit(specs[name], each) for name, each in self.encoders.items()}
        fits = {name: fit for name, fit in read.items() if fit is not specs[name].post and fit}
        return self.index.with_fits(fits) if fits else self.index

    @cached_property
    def _plain_index(self) -> Index:
        """The index, which takes prepared queries as they are."""
        return self.index.with_fits(dict.fromkeys(self.index.channels))

    def _share(self, channel: str, runs: Mapping[str, Run], document_id: str) -> float:
        """Return the part of one channel in the fused score; fusions are sums over channels."""
        nothing: Run = {_ONLY: {}}
        alone = [run if name == channel else nothing for name, run in runs.items()]
        return self.fuse(alone)[_ONLY].get(document_id, 0.0)

    def _channel_runs(self, queries: Mapping[str, str], k: int, seconds: Seconds) -> dict[str, Run]:
        _check_queries(queries)
        ids = list(queries)
        runs: dict[str, Run] = {name: {} for name in self.encoders}
        for start in range(0, len(ids), _BATCH):
            batch = ids[start : start + _BATCH]
            plain = self._encoded({name: queries[name] for name in batch}, seconds)
            with timed(seconds, "feedback") if self.feedback else nullcontext():
                encoded, _ = self._expanded(plain, batch)
            for name, rows in encoded.items():
                with timed(seconds, f"search {name}"):
                    runs[name] |= self._searched(name, rows, batch, k)
        return runs

    def _encoded(self, queries: Mapping[str, str], seconds: Seconds) -> dict[str, Representation]:
        """Encode queries once per encoder; return the rows that each channel is searched by."""
        texts, titles = list(queries.values()), [f"query {name!r}" for name in queries]
        groups: dict[int, list[str]] = {}
        for name, encoder in self.encoders.items():
            groups.setdefault(id(encoder), []).append(name)
        encoded: dict[str, Representation] = {}
        for names in groups.values():
            with timed(seconds, f"encode {'+'.join(names)}"):
                rows = encode_named(self.encoders[names[0]], texts, Role.QUERY, titles)
            encoded |= dict.fromkeys(names, rows)
        index = self._preparing_index
        return {name: index.channel_rows(name).prepare(encoded[name]) for name in self.encoders}

    def _expanded(
        self, encoded: Mapping[str, Representation], ids: Sequence[str]
    ) -> tuple[Mapping[str, Representation], Mapping[str, Run]]:
        """Let queries learn from what they find first; return their rows, and that by channel."""
        feedback = self.feedback
        if feedback is None:
            return encoded, {}
        depth = max(feedback.documents, self.depth) if feedback.fused else feedback.documents
        runs = {name: self._searched(name, rows, ids, depth) for name, rows in encoded.items()}
        if feedback.fused:
            runs = dict.fromkeys(encoded, cut(self.fuse([*runs.values()]), feedback.documents))
        found = {name: [run.get(query_id, {}) for query_id in ids] for name, run in runs.items()}
        index = self._plain_index
        expanded, unchanged = expand_channels(index, self.encoders, feedback, encoded, found)
        self.unexpanded.update(unchanged)
        return expanded, runs

    def _searched(self, channel: str, rows: Representation, ids: Sequence[str], k: int) -> Run:
        """Search one channel for the k best documents of each query.

        Where a query has several rows, a document gets the sum of its scores for each row, none
        less than 0 (PromptReps, Zhuang et al., EMNLP 2024).
        """
        hits = self._plain_index.search(channel, rows, k)
        if np.array_equal(rows.owner, np.arange(len(ids))):
            run = to_run(hits, ids, self._row_ids[channel])
            return run if hits.rows.shape[1] == k else cut(run, k)
        by_row = to_run(hits, [str(at) for at in range(len(rows))], self._row_ids[channel])
        added = sum_rows(by_row, [ids[at] for at in rows.owner])
        return cut({query_id: added.get(query_id, {}) for query_id in ids}, k)


def _check_queries(queries: Mapping[str, str]) -> None:
    for query_id, text in queries.items():
        if not text.strip():
            raise ValueError(f"query {query_id!r} is empty; give it a text")


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Add the wall time of a block to that of a step."""
    start = time.perf_counter()
    yield
    seconds[step] = seconds.get(step, 0.0) + time.perf_counter() - start
