"""RM3 and Rocchio are those of Anserini: the same words, weights and scores."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.feedback_anserini import Anserini, AnseriniTokens
from embedder.lucene.jvm import INSTALL
from index.channels.weighting import Weighting
from index.documents import Document
from index.folder import Index
from index.manifest import Engine
from retrieval.build import build_index
from retrieval.feedback.read import read_feedback
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.retriever import Retriever

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")

FEEDBACK = ["rm3", "rm3:documents=3,terms=5,weight=0.8", "rocchio", "rocchio:terms=3,beta=2"]


NATIVE, LUCENE = 38, 300
"""Tokens of the longest documents; Lucene keeps lengths exactly up to 39, longer ones to 4 bits."""


def texts(n: int, longest: int) -> Iterator[Document]:
    """Yield texts of 5 to fewer than `longest` tokens.

    Among their words are those that feedback leaves out: common ones, single letters, numbers with
    a point, and words that are too long.
    """
    rng = np.random.default_rng(7)
    ranks = 1 / np.arange(1, 301)
    odd = ["x", "3.14", "q" * 25, "it's", "b2b"]  # and no accents, which ours does not leave out
    words = [f"w{number}k" for number in range(300 - len(odd))] + odd
    for number in range(n):
        drawn = rng.choice(words, size=int(rng.integers(5, longest)), p=ranks / ranks.sum())
        yield Document(f"d{number:03}", "", " ".join(drawn.tolist()))


@pytest.fixture(scope="module", params=[NATIVE, LUCENE], ids=["native", "lucene"])
def collection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Document], Anserini, BuildOptions]:
    """Documents, Anserini's index of them, and how our channel is made."""
    documents = list(texts(150, request.param))
    engine: Engine = "native" if request.param == NATIVE else "lucene"
    channel = ChannelOptions("inverted", weighting=Weighting("bm25"), engine=engine)
    options = BuildOptions(segment_documents=60, channels={"bm25": channel})
    return documents, Anserini(documents, tmp_path_factory.mktemp("anserini")), options


@pytest.mark.parametrize("text", FEEDBACK)
def test_words_weights_and_scores_are_those_of_anserini(
    text: str, collection: tuple[list[Document], Anserini, BuildOptions], tmp_path: Path
) -> None:
    """By our own postings, and by Lucene as the engine of our channel."""
    feedback = read_feedback(text)
    assert feedback is not None
    documents, anserini, options = collection
    queries = {f"q{at}": documents[at].text.partition(" ")[2][:60] for at in range(0, 60, 4)}
    encoder = AnseriniTokens([*(each.content for each in documents), *queries.values()])
    build_index(documents, {"bm25": encoder}, tmp_path / "i", options)
    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, {"bm25": encoder}).with_feedback(feedback)
        ours = retriever.search(queries, 150)
        theirs = anserini.search(queries, 150, feedback)
        words = {}
        for name, query in queries.items():
            (part,) = retriever.explain(query, documents[0].id, words=100).channels
            words[name] = dict(part.query)
            assert words[name] == pytest.approx(anserini.expand(query, feedback), abs=1e-6)
            assert ours[name] == pytest.approx(theirs[name], abs=2e-4)
    assert sum(map(len, words.values())) > 100
    assert ours != anserini.search(queries, 150)
