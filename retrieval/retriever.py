"""Retriever: queries are encoded, every channel is searched, and the runs become one."""

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from dataclasses import replace
from functools import cached_property, partial

from embedder.arguments import check_count, check_kind, check_text
from embedder.types import Encoder, Representation, before_map, map_rows
from index.filters.expression import Filter
from index.filters.kept import KeptDocuments
from index.folder import Index
from retrieval.explain import Explanation
from retrieval.feedback.expand import expand_channels
from retrieval.feedback.read import AnyFeedback, Feedback, check_served, read_feedback
from retrieval.fusion import Fusion
from retrieval.fusion_choice import AUTO, read_fusion
from retrieval.matching import SearchedQuery
from retrieval.named_texts import check_queries, encode_queries
from retrieval.outside import joined
from retrieval.outside.channel import OutsideChannel
from retrieval.pseudo_queries import read_query_fit
from retrieval.run import OwnedHits, Run, SearchResult, SearchTrace, cut, run_of_texts, timed

DEPTH = 1000  # documents that each channel contributes to the fusion, as in TREC
BATCH = 256  # queries at a time: bounds the hits in memory, and is plenty for any encoder
_ONLY = "query"  # id of the one query that is explained

Found = tuple[Run, OwnedHits]
Queries = Mapping[str, str]
RowsByChannel = Mapping[str, Representation]


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
        outside: name -> channel outside of the index, each fused after those of `encoders`; the
            retriever searches one of its own `within` the index, and closes that.

    Warns:
        UserWarning: the index is not finished, so that it lacks documents.

    Attributes:
        fusion: the one in use, as it is written; "" for a function.
        depth: documents that each channel contributes to fusion.
        feedback: how queries learn from what they find first; None is not at all.
        kept: the documents that may be found, by a filter; None is all.
        row_ids: channel -> id of each row's document, read once and remembered.
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
        outside: Mapping[str, OutsideChannel] | None = None,
    ) -> None:
        if not callable(fusion):
            check_text(fusion, "fusion")
        depth = check_count(depth, "depth")
        self.channels = (*encoders, *(outside or ()))
        if not self.channels or depth < 1:
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
        self.kept: KeptDocuments | None = None
        self.unexpanded: Counter[str] = Counter()
        self.outside = joined.join_channels(outside or {}, index)
        lexical = [name for name in encoders if specs[name].kind == "inverted"]
        lexical += [name for name, channel in self.outside.items() if channel.lexical]
        channels = {**encoders, **self.outside}
        self.fusion, self._fuse = read_fusion(fusion, channels, lexical, index.manifest.fusion)
        self.depth = depth
        self.row_ids = {name: index.row_ids(name) for name in encoders}

    def __enter__(self) -> "Retriever":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the index, and the channels outside of it."""
        self.index.close()
        joined.close_channels(self.outside)

    def with_feedback(self, feedback: AnyFeedback) -> "Retriever":
        """Return a retriever of the same open index, with feedback or without.

        Args:
            feedback: as `read_feedback` reads it, or what it returns; "" is None.

        Raises:
            TypeError: it is neither.
            ValueError: it cannot be read, or changes queries of no channel that is searched.
        """
        check_kind(feedback, AnyFeedback, "feedback", "a text, or of read_feedback")
        other = copy(self)
        other.feedback = read_feedback(feedback) if isinstance(feedback, str) else feedback
        if other.feedback is not None:
            kinds = {name: self.index.channels[name].kind for name in self.encoders}
            check_served(other.feedback, kinds, self.outside)
        return other

    def with_filter(self, chosen: Filter | str | None) -> "Retriever":
        """Return a retriever of the same open index that finds, and learns from, some documents.

        Every channel leaves the others out before it chooses its best; scores are what they were.
        """
        if not chosen and self.kept is None:
            return self
        other, kept = copy(self), KeptDocuments.of(self.index, chosen or None)
        other.index, other.kept = kept.narrow(self.encoders), kept if chosen else None
        other.outside = joined.narrow_channels(self.outside, kept)
        vars(other).pop("_preparing_index", None)
        vars(other).pop("_plain_index", None)
        return other

    def search(self, queries: Mapping[str, str], k: int) -> Run:
        """Return the k best documents of every query, an id with its text; a query may have none.

        Raises:
            ValueError: the text of a query is empty, or k is less than 1.
        """
        return self.answer(queries, k).run

    def channel_runs(self, queries: Mapping[str, str], k: int) -> dict[str, Run]:
        """Return the k best documents of every query, per channel."""
        return self._channel_runs(queries, k, SearchTrace(), {})

    def answer(
        self, queries: Mapping[str, str], k: int, encoded: RowsByChannel | None = None
    ) -> SearchResult:
        """Search, perhaps by what `encode` returned; keep the run and the time of each channel."""
        if k < 1:
            raise ValueError(f"a search is for at least 1 document; got k={k}")
        trace = SearchTrace()
        runs = self._channel_runs(queries, max(k, self.depth), trace, encoded or {})
        with timed(trace.seconds, "fuse"):
            fused = self.fuse(list(runs.values()))
        return trace.result(cut(fused, k), runs)

    def encode(
        self, queries: Queries, seconds: dict[str, float] | None = None
    ) -> dict[str, Representation]:
        """Encode queries once per encoder; add its time to `seconds`; return rows by channel."""
        readers = {name: before_map(encoder) for name, encoder in self.encoders.items()}
        readers |= joined.encoders_of(self.outside)
        return encode_queries(readers, queries, partial(timed, {} if seconds is None else seconds))

    def query_rows(self, channel: str, rows: Representation) -> Representation:
        """Return the rows that a channel is searched by for those read `before_map`."""
        prepared = self._preparing_index.channel_rows(channel).prepare(rows)
        return map_rows(self.encoders[channel], prepared, self.index.channels[channel].kind)

    def fuse(self, runs: Sequence[Run]) -> Run:
        """Fuse the runs of all channels, given in their order; one channel stays as it is."""
        return self._fuse(runs) if len(runs) > 1 else runs[0]

    def explain(
        self, query: str, document_id: str, words: int = 20, pieces: bool = False, k: int = 1
    ) -> Explanation:
        """Score a document for a query in every channel, with the words that carried it.

        Args:
            query: text.
            document_id: a live document, found by the search or not.
            words: number of words to name per channel, the heaviest first.
            pieces: name the pieces of words that a model knows, with the marks on them.
            k: documents that the search is for, as of `answer`.

        Raises:
            ValueError: the document is unknown, or the query is empty.
        """
        check_queries(asked := {_ONLY: query})
        plain = self._prepared(self.encode(asked))
        rows, taught = self._expanded(asked, plain)
        runs = self._search_batch(asked, rows, max(k, self.depth), trace := SearchTrace())
        searched = SearchedQuery(
            text=query,
            index=self._plain_index,
            encoders=self.encoders,
            outside=self.outside,
            asked=plain,
            rows=rows,
            taught={name: list(run[_ONLY]) for name, run in taught.items()},
            found=trace.result(self.fuse(list(runs.values())), runs),
            fuse=self.fuse,
        )
        return searched.explain(document_id, words, pieces)

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

    def _channel_runs(
        self, queries: Queries, k: int, trace: SearchTrace, given: RowsByChannel
    ) -> dict[str, Run]:
        check_queries(queries)
        ids = list(queries)
        runs: dict[str, Run] = {name: {} for name in self.channels}
        for start in range(0, len(ids), BATCH):
            batch = {name: queries[name] for name in ids[start : start + BATCH]}
            rows = {at: each.of_texts(start, start + len(batch)) for at, each in given.items()}
            plain = self._prepared(rows or self.encode(batch, trace.seconds))
            with timed(trace.seconds, "feedback") if self.feedback else nullcontext():
                encoded, _ = self._expanded(batch, plain)
            for name, run in self._search_batch(batch, encoded, k, trace).items():
                runs[name] |= run
        return runs

    def _search_batch(
        self, queries: Queries, encoded: RowsByChannel, k: int, trace: SearchTrace
    ) -> dict[str, Run]:
        """Search all channels for the k best documents of each query, in their order."""
        runs: dict[str, Run] = {}
        for name in self.channels:
            with timed(trace.seconds, f"search {name}"):
                if name in self.outside:
                    runs[name] = self.outside[name].search(queries, encoded.get(name), k)
                else:
                    found = self._searched(name, encoded[name], list(queries), k)
                    runs[name], trace.hits[name] = found
        return runs

    def _prepared(self, encoded: RowsByChannel) -> dict[str, Representation]:
        """Return the rows that channels are searched by for those of `encode`."""
        return {**encoded, **{name: self.query_rows(name, encoded[name]) for name in self.encoders}}

    def _expanded(
        self, queries: Queries, encoded: RowsByChannel
    ) -> tuple[RowsByChannel, Mapping[str, Run]]:
        """Let queries learn from what they find first; return their rows, and that by channel."""
        feedback = self.feedback
        if feedback is None:
            return encoded, {}
        ids, own = list(queries), {name: encoded[name] for name in self.encoders}
        if feedback.fused:
            depth = max(feedback.documents, self.depth)
            runs = self._search_batch(queries, encoded, depth, SearchTrace())
            runs = dict.fromkeys(own, cut(self.fuse([*runs.values()]), feedback.documents))
        else:
            depth = feedback.documents
            runs = {name: self._searched(name, rows, ids, depth)[0] for name, rows in own.items()}
        found = {name: [run.get(query_id, {}) for query_id in ids] for name, run in runs.items()}
        expanded, same = expand_channels(self._plain_index, self.encoders, feedback, own, found)
        self.unexpanded.update(same)
        return {**encoded, **expanded}, runs

    def _searched(self, channel: str, rows: Representation, ids: Sequence[str], k: int) -> Found:
        """Search one channel for the k best documents of each query."""
        hits, owner = self._plain_index.search(channel, rows, k), rows.owner
        return run_of_texts(hits, owner, ids, self.row_ids[channel], k), OwnedHits(hits, owner)
