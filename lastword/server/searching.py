"""What a batch of searches computes: one encoding for all, one search for each choice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from embedder.encoders.bm25 import BM25Encoder
from embedder.inspect.word_columns import whole_words
from embedder.types import Representation
from lastword.engine import SearchEngine
from lastword.hits import Hit, SearchHits, list_hits
from lastword.server.messages import (
    ChannelHit,
    Choice,
    HitMessage,
    PassageHit,
    SearchAnswer,
    SearchRequest,
    WordWeight,
)
from retrieval.fusion_choice import AUTO
from retrieval.matching import sum_terms
from retrieval.retriever import BATCH, Retriever
from retrieval.run import SearchResult, only_channel

SHOWN_WORDS = 20  # of the model, for a query


class UnknownChannelError(ValueError):
    """An index has no channel of a name that a request gives."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is searched, so that searches of the same can go together.

    Attributes:
        channels: () is all.
        fusion: as a `Retriever` takes it.
        weights: of the fusion, instead of its own; () is none.
        filter: "" is none.
    """

    channels: tuple[str, ...]
    fusion: str = AUTO
    weights: tuple[tuple[str, float], ...] = ()
    filter: str = ""

    @staticmethod
    def of(choice: Choice) -> "Chosen":
        """Read a request."""
        return Chosen(
            tuple(choice.channels or ()),
            choice.fusion or AUTO,
            tuple((choice.weights or {}).items()),
            choice.filter or "",
        )

    def apply(self, retriever: Retriever) -> Retriever:
        """Return a retriever of the same open index, narrowed.

        Raises:
            UnknownChannelError: there is no channel of a name, or the fusion weighs others.
            ValueError: the filter cannot be read.
        """
        names = self.channels or retriever.channels
        known = ", ".join(retriever.channels)
        for name in (*names, *(name for name, _ in self.weights)):
            if name not in retriever.encoders:
                raise UnknownChannelError(f"there is no channel {name!r}; there are {known}")
        if self != Chosen((), filter=self.filter):
            encoders = {name: each for name, each in retriever.encoders.items() if name in names}
            try:
                fusion = self._fusion(retriever, encoders)
                retriever = Retriever(retriever.index, encoders, fusion, retriever.depth)
            except ValueError as error:  # the text of a fusion was checked before
                raise UnknownChannelError(str(error)) from error
        return retriever.with_filter(self.filter or None)

    def _fusion(self, retriever: Retriever, channels: Collection[str]) -> str:
        if not self.weights:
            return self.fusion
        kind = (retriever.fusion if self.fusion == AUTO else self.fusion).partition(":")[0]
        weights = dict.fromkeys(channels, 0.0) | dict(self.weights)
        return f"{kind}:{','.join(f'{name}={weight!r}' for name, weight in weights.items())}"


@dataclass(frozen=True, slots=True)
class Question:
    """One query of a request, in a batch with those of others."""

    text: str
    chosen: Chosen
    request: SearchRequest


@dataclass(frozen=True)
class IndexSearch:
    """Answers batches of questions to one index; equal ones go together in a `BatchQueue`."""

    name: str
    engine: SearchEngine

    def __call__(self, questions: list[Question]) -> list[bytes]:
        """Answer questions in order, each with a `SearchAnswer` as JSON.

        Raises:
            ValueError: of one of them.
        """
        if len(questions) > BATCH:  # of more a retriever does not hold the rows that it found
            parts = (questions[at : at + BATCH] for at in range(0, len(questions), BATCH))
            return [answer for part in parts for answer in self(part)]
        groups: dict[tuple[Chosen, int], list[int]] = {}
        for at, question in enumerate(questions):
            groups.setdefault((question.chosen, question.request.k), []).append(at)
        answers: dict[int, bytes] = {}
        with self.engine.reading() as retriever:
            narrowed = {chosen: chosen.apply(retriever) for chosen, _ in groups}
            needed = {name for each in narrowed.values() for name in each.encoders}
            reader = _reader(retriever, needed)
            texts = {str(at): question.text for at, question in enumerate(questions)}
            seconds: dict[str, float] = {}
            rows = reader.encode(texts, seconds)
            for (chosen, k), places in groups.items():
                searcher = narrowed[chosen]
                own = {name: _rows_of(rows[name], places, len(texts)) for name in searcher.encoders}
                queries = {str(at): texts[str(at)] for at in places}
                result = searcher.answer(queries, k, own)
                listed = list_hits(result, queries, searcher)
                for place, at in enumerate(places):
                    question, asked = questions[at], {}
                    if question.request.words:
                        asked = {name: each.of_text(place) for name, each in own.items()}
                    shares = _shares(searcher, result, str(at), question.request)
                    answer = self._answer(searcher, listed[str(at)], question, shares, asked)
                    answers[at] = to_json(answer | {"seconds": answer["seconds"] | seconds})
        return [answers[at] for at in range(len(questions))]

    def _answer(
        self,
        retriever: Retriever,
        hits: SearchHits,
        question: Question,
        shares: Mapping[str, Mapping[str, float]],
        asked: Mapping[str, Representation],
    ) -> SearchAnswer:
        request = question.request
        return SearchAnswer(
            index=self.name,
            generation=retriever.index.generation,
            query=question.text,
            channels=list(hits.channels),
            fusion=retriever.fusion if len(hits.channels) > 1 else None,
            hits=[_hit_message(hit, request, shares) for hit in hits],
            words=name_query_words(retriever, question.text, asked) if request.words else {},
            remarks=[] if retriever.kept is None else list(retriever.kept.remarks()),
            seconds=hits.seconds,
        )


def name_query_words(
    retriever: Retriever, query: str, asked: Mapping[str, Representation]
) -> dict[str, list[WordWeight]]:
    """Name the words that models read a query as, heaviest first, by sparse channel."""
    words = {}
    for name in sparse_channels(retriever):
        named = whole_words(retriever.encoders[name], sum_terms(asked[name]), [query])
        words[name] = [WordWeight(word=word, weight=part) for word, part in named[:SHOWN_WORDS]]
    return words


def sparse_channels(retriever: Retriever) -> list[str]:
    """Return the channels of words that a model chooses."""
    specs = retriever.index.channels
    return [
        name
        for name, encoder in retriever.encoders.items()
        if specs[name].kind != "dense" and not isinstance(encoder, BM25Encoder)
    ]


def _reader(retriever: Retriever, channels: set[str]) -> Retriever:
    if len(channels) == len(retriever.encoders):
        return retriever
    return Chosen(tuple(sorted(channels))).apply(retriever)


def _rows_of(rows: Representation, places: Sequence[int], texts: int) -> Representation:
    if len(places) == texts:
        return rows
    return Representation.concatenate([rows.of_text(at) for at in places], 1)


def _shares(
    retriever: Retriever, result: SearchResult, query_id: str, request: SearchRequest
) -> dict[str, Mapping[str, float]]:
    """Return channel -> document -> its part of the fused score, where it is asked for."""
    if not request.shares:
        return {}
    runs = {name: {query_id: run[query_id]} for name, run in result.channels.items()}
    return {name: retriever.fuse(only_channel(name, runs))[query_id] for name in runs}


def _hit_message(
    hit: Hit, request: SearchRequest, shares: Mapping[str, Mapping[str, float]]
) -> HitMessage:
    passage = hit.passage
    return HitMessage(
        rank=hit.rank,
        id=hit.id,
        score=hit.score,
        channels={
            name: ChannelHit(
                rank=place.rank,
                score=place.score,
                share=shares[name].get(hit.id, 0.0) if shares else None,
            )
            for name, place in hit.channels.items()
        },
        title=hit.title,
        title_matches=passage.find_matches(hit.title) if request.highlight else [],
        text=hit.text if request.texts else None,
        passage=PassageHit(
            start=passage.start,
            end=passage.end,
            page=passage.page,
            text=passage.text,
            matches=passage.matches if request.highlight else [],
        )
        if request.passages
        else None,
        metadata=dict(hit.metadata),
    )
