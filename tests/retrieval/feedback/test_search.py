"""Searches with feedback: by a plain count of words, in batches, with deletions and passages."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder, Role
from index.documents import Document
from index.folder import Index
from index.manifest import Passages
from index.writer import IndexWriter
from retrieval.build import build_index
from retrieval.feedback.read import read_feedback
from retrieval.feedback.rm3 import RM3
from retrieval.feedback.rocchio import Rocchio
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from retrieval.run import cut
from tests.synthetic import SignEncoder, WordRowsEncoder, documents, queries

PLAIN = BM25Encoder("none")
BOTH: dict[str, Encoder] = {"dense": SignEncoder(), "bm25": PLAIN}
RM3_ALL = RM3(common=1)  # the few words of these documents are all common
ROCCHIO_ALL = Rocchio(common=1)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three segments, of whose documents every seventh is deleted."""
    folder = tmp_path_factory.mktemp("index") / "i"
    build_index(documents(200), BOTH, folder, BuildOptions(segment_documents=80))
    with IndexWriter(folder) as writer:
        writer.delete([f"d{number}" for number in range(0, 200, 7)])
        writer.commit()
    return folder


def heaviest(weights: Mapping[str, float], terms: int) -> dict[str, float]:
    """Keep the heaviest words; of equal ones those whose column is lower."""
    columns = {word: PLAIN.columns([word])[0][0] for word in weights}
    order = sorted(weights, key=lambda word: (-weights[word], columns[word]))[:terms]
    return {word: weights[word] for word in order}


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


def rm3_by_counting(
    query: str, found: Mapping[str, float], texts: Mapping[str, str]
) -> dict[str, float]:
    """Count words of texts, with no matrix anywhere: RM3 with 4 words of 3 documents."""
    model: defaultdict[str, float] = defaultdict(float)
    for name, score in found.items():
        words = [word for word in texts[name].lower().split() if len(word) > 1]
        for word, share in shares(heaviest(Counter(words), 4)).items():
            model[word] += share * score
    mixed: defaultdict[str, float] = defaultdict(float)
    for part in (shares(Counter(query.split())), shares(heaviest(model, 4))):
        for word, share in part.items():
            mixed[word] += share / 2
    return mixed


def test_rm3_is_that_of_a_plain_count_in_every_segment(path: Path) -> None:
    texts = {each.id: each.content for each in documents(200)}
    feedback = replace(RM3_ALL, documents=3, terms=4)
    with Index.open(path) as index:
        plain = Retriever(index, {"bm25": PLAIN})
        retriever = plain.with_feedback(feedback)
        for query in queries().values():
            first = plain.channel_runs({"q": query}, 3)["bm25"]["q"]
            expected = rm3_by_counting(query, first, texts)
            (part,) = retriever.explain(query, "d1").channels
            assert dict(part.query) == pytest.approx(expected, abs=1e-6)
            weighted: defaultdict[str, float] = defaultdict(float)
            for word, weight in expected.items():
                for name, score in plain.search({"q": word}, 200)["q"].items():
                    weighted[name] += weight * score
            after = retriever.search({"q": query}, 200)["q"]
            assert after == pytest.approx(dict(weighted), rel=1e-5)
            assert list(after) == list(cut({"q": after}, 200)["q"])


@pytest.mark.parametrize("feedback", ["rm3", "rocchio", "rocchio:from=fused", "rm3:from=fused"])
def test_a_batch_of_one_equals_a_batch_of_many(path: Path, feedback: str) -> None:
    learning = read_feedback(feedback)
    assert learning is not None
    with Index.open(path) as index:
        retriever = Retriever(index, BOTH).with_feedback(replace(learning, common=1))
        many = retriever.answer(queries(), 20)
        assert "feedback" in many.seconds
        for name, query in queries().items():
            one = retriever.answer({name: query}, 20)
            assert one.run[name] == many.run[name]
            for channel in BOTH:
                assert one.channels[channel][name] == many.channels[channel][name]
        assert many.run != retriever.with_feedback("").search(queries(), 20)
        assert not any(retriever.unexpanded.values())


@pytest.mark.parametrize("fused", [False, True])
def test_dense_queries_move_to_the_mean_of_their_documents(path: Path, fused: bool) -> None:
    """Of those that the channel finds first, or of those that all channels find together."""
    with Index.open(path) as index:
        plain = Retriever(index, BOTH)
        taught = plain.with_feedback(Rocchio(documents=4, fused=fused))
        vectors = {name: index.vectors("dense", name)[0].astype(float) for name in index.ids()}
        differ = 0
        for query in queries().values():
            own = plain.channel_runs({"q": query}, 4)["dense"]["q"]
            first = plain.search({"q": query}, 4)["q"] if fused else own
            differ += set(first) != set(own)
            row = BOTH["dense"].encode([query], Role.QUERY).dense
            assert row is not None
            moved = row[0] + 0.75 * np.mean([vectors[name] for name in first], axis=0)
            moved /= np.linalg.norm(moved)
            expected = {name: float(moved @ vector) for name, vector in vectors.items()}
            after = taught.channel_runs({"q": query}, 200)["dense"]["q"]
            assert after == pytest.approx(expected, abs=1e-6)
    assert bool(differ) == fused


def test_rm3_leaves_dense_queries_alone(path: Path) -> None:
    with Index.open(path) as index:
        plain = Retriever(index, BOTH)
        runs = plain.with_feedback(RM3_ALL).channel_runs(queries(), 30)
        before = plain.channel_runs(queries(), 30)
        assert runs["dense"] == before["dense"] and runs["bm25"] != before["bm25"]


def test_a_query_that_finds_nothing_stays_and_is_counted(path: Path) -> None:
    asked = {"nothing": "zzz", "something": "amber"}
    with Index.open(path) as index:
        retriever = Retriever(index, {"bm25": PLAIN})
        learnings: list[tuple[RM3 | Rocchio, int]]
        learnings = [(RM3_ALL, 1), (RM3(common=0), 2), (ROCCHIO_ALL, 1)]
        for feedback, unexpanded in learnings:
            learning = Retriever(index, {"bm25": PLAIN}).with_feedback(feedback)
            run = learning.search(asked, 10)
            assert learning.unexpanded == {"bm25": unexpanded}
            assert run["nothing"] == {}
            assert (run == retriever.search(asked, 10)) == (unexpanded == 2)


def test_the_best_passage_of_a_document_teaches(tmp_path: Path) -> None:
    """The other passage has words of its own, which must not come into the query."""
    filler = " ".join(f"filler{number}" for number in range(8))
    long = Document("long", "", f"amber basalt cobalt delta {filler} kelp lagoon marble nectar")
    build_index(
        [long, Document("other", "", "quartz reef sable tundra")],
        {"bm25": PLAIN},
        tmp_path / "i",
        BuildOptions(passages=Passages(4, 0)),
    )
    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, {"bm25": PLAIN}).with_feedback(replace(RM3_ALL, documents=1))
        (part,) = retriever.explain("lagoon", "long").channels
    assert {word for word, _ in part.query} == {"kelp", "lagoon", "marble", "nectar"}


def test_each_row_of_a_query_learns(tmp_path: Path) -> None:
    encoders: dict[str, Encoder] = {"dense": WordRowsEncoder()}
    build_index(documents(40), encoders, tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, encoders)
        taught = retriever.with_feedback(Rocchio(2, beta=1e-9))
        for name, query in queries(5).items():
            expected = retriever.search({name: query}, 40)[name]
            assert taught.search({name: query}, 40)[name] == pytest.approx(expected, abs=1e-5)
        moved = retriever.with_feedback(Rocchio(2)).search(queries(5), 40)
        assert moved != retriever.search(queries(5), 40)


def test_feedback_of_another_type_is_refused(path: Path) -> None:
    with Index.open(path) as index, pytest.raises(TypeError, match="feedback must be a text"):
        Retriever(index, BOTH).with_feedback(3)  # type: ignore[arg-type]


def test_words_of_every_script_may_be_added(tmp_path: Path) -> None:
    """Anserini's RM3 adds a-z and 0-9 only, which leaves nothing of most languages."""
    text = "amber größe цвет गुलाब 3.14 x 東京都 " + "q" * 21
    fillers = [Document(f"f{number}", "", f"filler {number}") for number in range(30)]
    build_index([Document("d", "", text), *fillers], {"bm25": PLAIN}, tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        for method, more in [("rm3", set[str]()), ("rocchio", {"3.14"})]:
            retriever = Retriever(index, {"bm25": PLAIN}).with_feedback(f"{method}:terms=20")
            (part,) = retriever.explain("amber", "d").channels
            words = {"amber", "größe", "цвет", "गुलाब", "東京都"}
            assert {word for word, _ in part.query} == words | more
