"""Laws of reranking: who stands first, ties, depth, own rerankers, and what an explanation says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Float32Array, Representation
from index.documents import Document
from index.folder import Index
from index.manifest import Passages
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.outside.channel import OutsideMatch
from retrieval.rerank.reranking import (
    RerankedResult,
    Reranking,
    answer_reranked,
    explain_reranked,
)
from retrieval.rerank.winners import winning_spans
from retrieval.retriever import Retriever
from retrieval.run import Run, cut, ranked

TEXTS = ["key", "key key lock", "key lock lava", "key stone lava rock", "key and four more words"]


class Lengths:
    """Prefers texts of few or many characters; counts its calls."""

    name = "lengths"

    def __init__(self, sign: float = 1.0) -> None:
        self.sign, self.calls = sign, 0

    def score(self, query: str, texts: Sequence[str]) -> Float32Array:
        self.calls += 1
        return np.array([self.sign * len(text) for text in texts], np.float32)


class Indifferent:
    """Has no opinion."""

    def score(self, query: str, texts: Sequence[str]) -> Float32Array:
        return np.full(len(texts), 1e30, np.float32)


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    path = tmp_path_factory.mktemp("index") / "i"
    documents = [Document(f"d{at}", "", text) for at, text in enumerate(TEXTS)]
    encoders = {"bm25": BM25Encoder()}
    build_index(documents, encoders, path)
    return Retriever(Index.open(path), encoders)


QUERIES = {"q1": "key lock", "q2": "lava", "q3": "nothing of it"}


def test_what_is_read_again_stands_first_and_the_others_follow(retriever: Retriever) -> None:
    first = retriever.search(QUERIES, 5)
    for depth in (1, 2, 3, 5, 50):
        run = Reranking(Lengths(), depth).apply(first, QUERIES, retriever.index)
        for query_id, scores in first.items():
            before, after = list(scores), [doc for doc, _ in ranked(run[query_id])]
            longest = sorted(before[:depth], key=lambda doc: -len(TEXTS[int(doc[1:])]))
            assert after == [*longest, *before[depth:]] == list(run[query_id])
            read = after[: min(depth, len(before))]
            assert [run[query_id][doc] for doc in read] == [len(TEXTS[int(d[1:])]) for d in read]


def test_equal_scores_leave_the_order_as_it_was(retriever: Retriever) -> None:
    """Ids in the reverse of their ranks: a run of equal scores would be ordered by id."""
    first = retriever.search(QUERIES, 5)
    run = Reranking(Indifferent(), 3).apply(first, QUERIES, retriever.index)
    assert {q: [doc for doc, _ in ranked(s)] for q, s in run.items()} == {
        q: list(s) for q, s in first.items()
    }
    narrow = {q: [float(np.float32(v)) for v in s.values()] for q, s in run.items()}
    assert all(len(set(v)) == len(v) for v in narrow.values())  # programs that keep 32 bits agree


def test_a_search_is_reranked_before_it_is_cut(retriever: Retriever) -> None:
    reranking = Reranking(Lengths(-1), 4)
    whole = reranking.apply(retriever.search(QUERIES, 5), QUERIES, retriever.index)
    found = answer_reranked(retriever, QUERIES, 2, reranking)
    assert found.run == cut(whole, 2) and "rerank" in found.seconds
    assert isinstance(found, RerankedResult) and found.first == retriever.search(QUERIES, 4)
    assert answer_reranked(retriever, QUERIES, 2, None).run == retriever.search(QUERIES, 2)


def test_a_query_that_finds_nothing_asks_nobody(retriever: Retriever) -> None:
    reranker = Lengths()
    found = answer_reranked(retriever, {"q3": QUERIES["q3"]}, 5, Reranking(reranker))
    assert found.run == {"q3": {}} and reranker.calls == 0


def test_an_explanation_says_what_the_reranker_did(retriever: Retriever) -> None:
    order = list(retriever.search({"q": "key lock"}, 5)["q"])
    reranking = Reranking(Lengths(-1), 3)
    shortest = min(order[:3], key=lambda doc: len(TEXTS[int(doc[1:])]))
    explanation = explain_reranked(retriever, "key lock", shortest, reranking)
    part = explanation.reranked
    assert part is not None and explanation.last_score == part.score != explanation.score
    assert str(explanation).startswith(f"{shortest}: {part.score:.4f} for 'key lock'")
    assert (part.before, part.after) == (order.index(shortest) + 1, 1)
    assert part.score == -len(TEXTS[int(shortest[1:])])
    assert str(part) == f"lengths: {part.score:.4f}, rank {part.before} -> 1"
    below = explain_reranked(retriever, "key lock", order[4], reranking)
    assert below.last_score == below.score
    assert below.reranked is not None and below.reranked.score is None
    assert str(below.reranked) == "lengths: rank 5, below the 3 that it reads"
    missed = explain_reranked(retriever, "lava", "d0", reranking)
    assert "not among the documents" in str(missed)
    assert explain_reranked(retriever, "lava", "d0", None) == retriever.explain("lava", "d0")


def test_an_explanation_searches_once_and_as_deep_as_a_search(retriever: Retriever) -> None:
    """It searched a second time, and a reranker beyond the depth of the channels found less."""
    shallow = Retriever(retriever.index, retriever.encoders, depth=1)
    outside = Counted(retriever)
    both = Retriever(retriever.index, retriever.encoders, "minmax", 1, outside={"own": outside})
    for each in (shallow, both):
        order = list(answer_reranked(each, {"q": "key lock"}, 5, Reranking(Lengths(), 5)).run["q"])
        outside.searches = 0
        for rank, name in enumerate(order, 1):
            part = explain_reranked(each, "key lock", name, Reranking(Lengths(), 5)).reranked
            assert part is not None and part.after == rank
    assert outside.searches == len(order)


class Keeping(Lengths):
    """Keeps what it reads."""

    def score(self, query: str, texts: Sequence[str]) -> Float32Array:
        self.read = {**getattr(self, "read", {}), query: list(texts)}
        return super().score(query, texts)


def test_the_passage_that_was_found_is_read(tmp_path: Path) -> None:
    """A long document was read from its beginning, wherever its answer stood."""
    parts = [" ".join([word] * 5) for word in ("tea", "key", "lava")]
    documents = [Document("long", "Notes", ". ".join(parts)), Document("short", "", "a lava key")]
    encoders = {"bm25": BM25Encoder()}
    build_index(documents, encoders, tmp_path / "i", BuildOptions(passages=Passages(5, 0)))
    queries = {str(at): ("lava", "key", "tea")[at % 3] + f" x{at}" for at in range(300)}
    with Index.open(tmp_path / "i") as index:
        retriever, keeping = Retriever(index, encoders), Keeping()
        result = answer_reranked(retriever, queries, 5, Reranking(keeping, 5))
        for name, query in queries.items():
            part = parts[("tea", "key", "lava").index(query.split()[0])]
            assert f"Notes {part}." in [f"{text.rstrip('.')}." for text in keeping.read[query]]
            assert isinstance(result, RerankedResult)
            assert result.first[name] == retriever.search({name: query}, 5)[name]
        some = dict(list(queries.items())[:9])  # a server answers several at once
        together = winning_spans(retriever, retriever.answer(some, 5), some_ids(some))
        for name, query in some.items():
            alone = retriever.answer({name: query}, 5)
            assert together[name] == winning_spans(retriever, alone, some_ids([name]))[name]
        explained = explain_reranked(retriever, "lava", "long", Reranking(keeping, 5))
        assert keeping.read["lava"][0].startswith("Notes lava") and explained.reranked


def some_ids(queries: Iterable[str]) -> dict[str, list[str]]:
    return {query: ["long", "short"] for query in queries}


class Counted:
    """Another retriever as a channel outside of an index; counts its searches."""

    encoder, lexical = None, True

    def __init__(self, retriever: Retriever) -> None:
        self.retriever, self.searches = retriever, 0
        self.facts: dict[str, Any] = {}

    def within(self, ids: Sequence[str]) -> "Counted":
        return self

    def among(self, kept: NDArray[np.bool_]) -> "Counted":
        return self

    def search(self, queries: Mapping[str, str], rows: Representation | None, k: int) -> Run:
        self.searches += 1
        return self.retriever.search(queries, k)

    def match(self, query: str, rows: Representation | None, document_id: str) -> OutsideMatch:
        return OutsideMatch(0.0, {})

    def close(self) -> None:
        pass


def test_wrong_scores_and_rerankers_are_refused(retriever: Retriever) -> None:
    class Wrong:
        def __init__(self, *scores: float) -> None:
            self.scores = scores

        def score(self, query: str, texts: Sequence[str]) -> Float32Array:
            return np.array(self.scores, np.float32)

    run = retriever.search({"q2": "lava"}, 5)
    with pytest.raises(ValueError, match="one score a text, 2 here"):
        Reranking(Wrong(1.0)).apply(run, QUERIES, retriever.index)
    with pytest.raises(ValueError, match="nan for the query 'lava'"):
        Reranking(Wrong(1.0, float("nan"))).apply(run, QUERIES, retriever.index)
    with pytest.raises(TypeError, match="must have score"):
        Reranking("prompt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rerank_depth must be at least 1"):
        replace(Reranking(Lengths()), depth=0)


def test_two_rerankers_differ_by_their_facts() -> None:
    first, second = Reranking(Lengths(), 10), Reranking(Lengths(), 20)
    assert first.facts != second.facts and first.facts == Reranking(Lengths(), 10).facts


def test_nothing_is_done_to_the_run_that_is_given(retriever: Retriever, tmp_path: Path) -> None:
    first = retriever.search(QUERIES, 5)
    before = {query_id: dict(scores) for query_id, scores in first.items()}
    Reranking(Lengths()).apply(first, QUERIES, retriever.index)
    assert first == before
