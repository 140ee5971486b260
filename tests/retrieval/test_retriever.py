"""Laws of the retriever: fingerprints, depth, several rows, shared encoders, explanations."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.prompts.files import load_prompt
from embedder.types import Encoder, Role
from index.documents import Document
from index.folder import Index
from index.manifest import Passages
from index.writer import IndexWriter
from retrieval.build import build_index
from retrieval.fusion import DEFAULT, fusion_by_name, min_max, reciprocal_rank, z_score
from retrieval.options import DEFAULT_CHANNELS, BuildOptions, ChannelOptions
from retrieval.retriever import Retriever
from retrieval.run import Run, cut, ranked
from tests.synthetic import SignEncoder, WordRowsEncoder, documents, queries, word_signs

BOTH: dict[str, Encoder] = {"dense": SignEncoder(), "bm25": BM25Encoder()}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index") / "i"
    build_index(documents(200), BOTH, folder, BuildOptions(segment_documents=80))
    return folder


def test_search_is_the_fusion_of_the_channels(path: Path) -> None:
    with Index.open(path) as index:
        retriever = Retriever(index, BOTH, min_max, depth=50)
        runs = retriever.channel_runs(queries(), 50)
        assert list(runs) == ["dense", "bm25"]
        assert retriever.search(queries(), 10) == cut(min_max(list(runs.values())), 10)
        answer = retriever.answer(queries(), 10)
        assert answer.channels == runs
        assert set(answer.seconds) == {
            "encode dense",
            "encode bm25",
            "search dense",
            "search bm25",
            "fuse",
        }
        alone = Retriever(index, {"bm25": BOTH["bm25"]}, depth=50)
        assert alone.search(queries(), 50) == runs["bm25"]


def test_without_a_fusion_a_search_follows_the_index_as_the_command_does(tmp_path: Path) -> None:
    """A retriever had equal weights, whatever was chosen for the index or measured."""

    class Measured(SignEncoder):
        prompt = replace(load_prompt("promptreps"), fusion="zscore:dense=0.3,bm25=0.7")

    build_index(documents(60), BOTH, tmp_path / "i")
    measured: dict[str, Encoder] = {"dense": Measured(), "bm25": BM25Encoder()}

    def used(encoders: dict[str, Encoder], fusion: str = "auto") -> str:
        with Index.open(tmp_path / "i") as index:
            retriever = Retriever(index, encoders, fusion)
            runs = list(retriever.channel_runs(queries(3), 1000).values())
            if len(runs) > 1:
                fuse = fusion_by_name(retriever.fusion, list(encoders))
                assert retriever.answer(queries(3), 60).run == cut(fuse(runs), 60)
            return retriever.fusion

    assert used(BOTH) == DEFAULT
    assert used(measured) == "zscore:dense=0.3,bm25=0.7"
    assert used({"dense": Measured()}) == DEFAULT  # measured for other channels than these
    with IndexWriter(tmp_path / "i") as writer:
        writer.fuse_by("rrf:dense=1,bm25=2")
        writer.commit()
    assert used(measured) == "rrf:dense=1,bm25=2"
    assert used(measured, "dbsf") == "dbsf"
    with pytest.raises(ValueError, match="no fusion is called 'borda'"):
        used(measured, "borda")


def test_scores_of_words_have_the_floor_of_words_whatever_the_channel_is_called(
    tmp_path: Path,
) -> None:
    options = BuildOptions(channels={"stems": DEFAULT_CHANNELS["bm25"]})
    encoders = {"dense": BOTH["dense"], "stems": BOTH["bm25"]}
    build_index(documents(60), encoders, tmp_path / "i", options)
    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, encoders)
        runs = list(retriever.channel_runs(queries(3), 1000).values())
        assert retriever.fuse(runs) == min_max(runs, lexical=[False, True]) != min_max(runs)


def test_scores_are_those_of_the_documents(path: Path) -> None:
    encoder = SignEncoder()
    with Index.open(path) as index:
        runs = Retriever(index, {"dense": encoder}).channel_runs(queries(), 200)["dense"]
    docs = list(documents(200))
    rows = encoder.encode([doc.content for doc in docs], Role.DOCUMENT).dense
    assert rows is not None
    for query_id, text in queries().items():
        row = encoder.encode([text], Role.QUERY).dense
        assert row is not None
        expected = {doc.id: float(v @ row[0]) for doc, v in zip(docs, rows, strict=True)}
        assert runs[query_id] == expected


def test_every_query_is_in_the_run(path: Path) -> None:
    asked = {"known": "amber", "unknown": "zzz"}
    with Index.open(path) as index:
        retriever = Retriever(index, {"bm25": BM25Encoder()})
        run = retriever.search(asked, 5)
        assert list(run) == ["known", "unknown"]
        assert len(run["known"]) == 5
        assert run["unknown"] == {}
        assert retriever.search({}, 5) == {}
        with pytest.raises(ValueError, match="query 'q' is empty"):
            retriever.search({"q": " "}, 5)
        with pytest.raises(ValueError, match="at least 1 document; got k=0"):
            retriever.search(asked, 0)


def test_many_queries_equal_one_at_a_time(path: Path) -> None:
    asked = queries(600)  # more than are encoded at a time
    with Index.open(path) as index:
        retriever = Retriever(index, BOTH, depth=20)
        together = retriever.search(asked, 10)
        for query_id in list(asked)[::97]:
            alone = retriever.search({query_id: asked[query_id]}, 10)
            assert alone[query_id] == together[query_id]


def test_another_encoder_is_refused(path: Path) -> None:
    with Index.open(path) as index:
        with pytest.raises(ValueError, match="salt: index has '', encoder has 'pepper'"):
            Retriever(index, {"dense": SignEncoder(salt="pepper")})
        with pytest.raises(ValueError, match="query_prompt: index has '', encoder has 'new'"):
            Retriever(index, {"dense": SignEncoder(query_prompt="new")})
        with pytest.raises(ValueError, match="no channel 'sparse'; it has dense, bm25"):
            Retriever(index, {"sparse": SignEncoder()})
        with pytest.raises(ValueError, match="needs a channel and a depth"):
            Retriever(index, {})


def test_the_query_prompt_is_free_where_the_index_says_so(tmp_path: Path) -> None:
    free = {"dense": ChannelOptions("dense", factory="Flat", query_prompt_free=True)}
    build_index(documents(9), {"dense": SignEncoder()}, tmp_path / "i", BuildOptions(channels=free))
    with Index.open(tmp_path / "i") as index:
        Retriever(index, {"dense": SignEncoder(query_prompt="new")}).search({"q": "amber"}, 3)
        with pytest.raises(ValueError, match="salt"):
            Retriever(index, {"dense": SignEncoder(salt="x", query_prompt="new")})


def test_a_shared_encoder_reads_a_query_once(tmp_path: Path) -> None:
    options = BuildOptions(
        channels={name: ChannelOptions("dense", factory="Flat") for name in ("one", "two")}
    )
    encoder = SignEncoder()
    build_index(documents(9), {"one": encoder, "two": encoder}, tmp_path / "i", options)
    encoder.texts.clear()
    with Index.open(tmp_path / "i") as index:
        answer = Retriever(index, {"one": encoder, "two": encoder}).answer({"q": "amber"}, 3)
    assert encoder.texts == ["amber"]
    assert list(answer.seconds) == ["encode one+two", "search one", "search two", "fuse"]


def test_rows_of_several_words_are_summed_over_the_query(tmp_path: Path) -> None:
    """Best row of a document for each row of the query, floored at 0, then the sum."""
    docs = [*documents(60), Document("blank", "", "")]
    encoder = WordRowsEncoder()
    options = BuildOptions(segment_documents=25, on_empty="keep")
    build_index(docs, {"dense": encoder}, tmp_path / "i", options)

    def score(query: str, text: str) -> float:
        best = (
            max(float(word_signs(a) @ word_signs(b)) / 64 for b in text.split())
            for a in query.split()
        )
        return sum(max(value, 0.0) for value in best)

    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, {"dense": encoder})
        run = retriever.search(queries(8), 60)
        for query_id, text in queries(8).items():
            expected = {doc.id: score(text, doc.content) for doc in docs[:60]}
            assert run[query_id] == dict(ranked(expected))
        text = queries(8)["q3"]
        part = retriever.explain(text, "d7").channels[0]
        assert part.score == run["q3"]["d7"] == part.share
        assert retriever.explain(text, "blank").channels[0].passage is None
        assert retriever.explain(text, "blank").score == 0


def test_k_distinct_documents_come_out_however_many_rows_they_have(tmp_path: Path) -> None:
    """One document of many good passages must not crowd out the others."""
    crowd = Document("crowd", "", " ".join(["amber"] * 400))
    docs = [crowd, *(Document(f"o{i}", "", f"amber {i} fjord") for i in range(30))]
    options = BuildOptions(passages=Passages(4), segment_documents=10)
    build_index(docs, BOTH, tmp_path / "i", options)
    with Index.open(tmp_path / "i") as index:
        runs = Retriever(index, BOTH, depth=12).channel_runs({"q": "amber"}, 12)
        assert {name: len(run["q"]) for name, run in runs.items()} == {"dense": 12, "bm25": 12}
        assert "crowd" in runs["dense"]["q"]


@pytest.mark.parametrize("fusion", [reciprocal_rank, min_max, z_score])
def test_an_explanation_adds_up(path: Path, fusion: "partial[Run]") -> None:
    with Index.open(path) as index:
        retriever = Retriever(index, BOTH, fusion, depth=30)
        answer = retriever.answer(queries(3), 30)
        for query_id, text in queries(3).items():
            for document_id, score in list(answer.run[query_id].items())[::5]:
                told = retriever.explain(text, document_id)
                assert told.score == pytest.approx(score)
                assert sum(part.share for part in told.channels) == pytest.approx(score)
                assert told.document == index.document(document_id)
                for part in told.channels:
                    order = [one for one, _ in ranked(answer.channels[part.name][query_id])]
                    if part.rank is None:
                        assert (document_id in order, part.share) == (False, 0)
                        continue
                    assert order[part.rank - 1] == document_id
                    held = answer.channels[part.name][query_id][document_id]
                    assert part.score == pytest.approx(held, rel=1e-5)
                dense, bm25 = told.channels
                assert dense.words == ()
                assert sum(weight for _, weight in bm25.words) == pytest.approx(bm25.score)
                shared = {*text.split()} & {*told.document.content.lower().split()}
                assert {word for word, _ in bm25.words} == shared


def test_an_explanation_names_the_best_passage(tmp_path: Path) -> None:
    text = "fjord " * 10 + "amber basalt " * 3 + "lagoon " * 10
    options = BuildOptions(passages=Passages(5))
    build_index([Document("long", "T", text)], BOTH, tmp_path / "i", options)
    with Index.open(tmp_path / "i") as index:
        retriever = Retriever(index, BOTH)
        for part in retriever.explain("amber basalt", "long").channels:
            assert part.passage is not None
            start, end = part.passage
            assert "amber basalt" in text[start:end]
        with pytest.raises(ValueError, match="no document 'x'"):
            retriever.explain("amber", "x")


def test_the_heaviest_words_are_named_first(path: Path) -> None:
    with Index.open(path) as index:
        retriever = Retriever(index, {"bm25": BM25Encoder()})
        document = index.document("d5")
        words = retriever.explain(document.content, "d5", words=3).channels[0].words
    assert len(words) == 3
    assert [weight for _, weight in words] == sorted((w for _, w in words), reverse=True)
    assert np.all([word in document.content.lower() for word, _ in words])


@pytest.mark.parametrize("factory", ["HNSW16", "IVF4,Flat"])
def test_approximate_channels_survive_deletion_and_merging(tmp_path: Path, factory: str) -> None:
    """Scores are exact whatever the index; at this size nearly everything is found."""
    pytest.importorskip("faiss")
    options = BuildOptions(
        segment_documents=250, channels={"dense": ChannelOptions("dense", factory=factory)}
    )
    path, encoder = tmp_path / "i", SignEncoder()
    build_index(documents(500), {"dense": encoder}, path, options)
    build_index(documents(400, start=100), {"dense": encoder}, tmp_path / "exact")
    with IndexWriter(path) as writer:
        writer.delete([f"d{at}" for at in range(100)])
        writer.commit()
    with Index.open(tmp_path / "exact") as index:
        exact = Retriever(index, {"dense": encoder}).search(queries(), 400)
    for _ in range(2):
        with Index.open(path) as index:
            found = Retriever(index, {"dense": encoder}).search(queries(), 10)
            assert index.check() == []
        for query_id, scores in found.items():
            assert scores.items() <= exact[query_id].items()
        best = [max(scores.values()) == max(exact[one].values()) for one, scores in found.items()]
        assert sum(best) > len(best) / 2
        with IndexWriter(path) as writer:
            writer.merge()
            writer.commit()
            writer.compact()


def test_an_explanation_encodes_the_query_once(path: Path) -> None:
    """It was encoded for the search and again for the words, which takes a model twice as long."""
    dense = SignEncoder()
    with Retriever(Index.open(path), {"dense": dense, "bm25": BOTH["bm25"]}) as retriever:
        expected = retriever.search({"q": "amber basalt"}, 5)["q"]
        dense.texts.clear()
        explained = retriever.explain("amber basalt", next(iter(expected)))
    assert dense.texts == ["amber basalt"]
    assert explained.score == max(expected.values())
