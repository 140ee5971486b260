"""Judging a collection end to end, against figures worked out by hand."""

import json
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder, Role
from eval.data.collections import Collection, open_collection
from eval.data.local import BeirFolder
from eval.runs.record import FUSED, Record
from eval.runs.run_folder import RunFolder
from eval.tasks.retrieval import JudgeOptions, judge
from index.channels.weighting import Weighting
from index.documents import Document
from retrieval.fusion import min_max
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.run import read_trec
from tests.folders import DATA

SHARED = DATA
DOCUMENTS = {
    "d1": "rotate the key",
    "d2": "key key lock door",
    "d3": "door",
    "d4": "",
    "q2": "lock the door",
}
QUERIES = {"q1": "keys", "q2": "lock the door", "q3": "nothing here", "other": "unjudged"}
QRELS = {"q1": {"d1": 1}, "q2": {"d3": 2, "d2": 1}, "q3": {"d4": 1}}
BM25_CHANNEL = ChannelOptions("inverted", weighting=Weighting("bm25"))
LENGTHS = {"d1": 2, "d2": 4, "d3": 1, "d4": 0, "q2": 2}  # without the stop word


def bm25(document: str, count: float, holding: int) -> float:
    """Lucene's BM25 with k1 .9 and b .4 of one term that `holding` of the five documents hold."""
    idf = math.log(1 + (5 - holding + 0.5) / (holding + 0.5))
    average = sum(LENGTHS.values()) / 5
    return idf * count / (count + 0.9 * (1 - 0.4 + 0.4 * LENGTHS[document] / average))


def write_collection(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", DOCUMENTS), ("queries", QUERIES)):
        lines = [json.dumps({"_id": key, "text": text}) + "\n" for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    rows = [
        f"{query}\t{doc}\t{gain}" for query, held in QRELS.items() for doc, gain in held.items()
    ]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return folder


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return open_collection(write_collection(tmp_path / "tiny"))


def test_a_single_channel_by_hand(collection: Collection, tmp_path: Path) -> None:
    options = JudgeOptions(measures=("nDCG@10", "RR@10"), out=tmp_path / "out")
    judged = judge(collection, {"bm25": BM25Encoder()}, tmp_path / "index", options)
    run = read_trec(tmp_path / "out" / "tiny.bm25.trec")
    assert run["q1"] == pytest.approx({"d1": bm25("d1", 1, 2), "d2": bm25("d2", 2, 2)}, abs=1e-5)
    assert run["q2"] == pytest.approx(
        {
            "d2": bm25("d2", 1, 2) + bm25("d2", 1, 3),
            "d3": bm25("d3", 1, 3),
            "q2": bm25("q2", 1, 2) + bm25("q2", 1, 3),
        },
        abs=1e-5,
    )
    assert run.keys() == {"q1", "q2"}
    discount = [1 / math.log2(rank + 1) for rank in range(1, 4)]
    assert judged.main["RR@10"] == {"q1": 1 / 2, "q2": 1 / 2, "q3": 0.0}
    assert judged.main["nDCG@10"] == pytest.approx(
        {
            "q1": discount[1],
            "q2": (discount[1] + 2 * discount[2]) / (2 * discount[0] + discount[1]),
            "q3": 0.0,
        }
    )
    assert judged.measures["RR@10"] == pytest.approx(1 / 3)
    assert (judged.size, judged.details["documents"], judged.details["fusion"]) == (3, 5, None)


def test_channels_and_their_fusion_are_judged(collection: Collection, tmp_path: Path) -> None:
    encoders: dict[str, Encoder] = {"stemmed": BM25Encoder(), "bm25": BM25Encoder("none")}
    build = BuildOptions(channels={"stemmed": BM25_CHANNEL}, on_empty="keep")
    text = "minmax:stemmed=0.25,bm25=0.75"
    options = JudgeOptions(fusion=text, out=tmp_path / "out", build=build)
    judged = judge(collection, encoders, tmp_path / "index", options)
    files = {name: tmp_path / "out" / f"tiny.{name}.trec" for name in (*encoders, FUSED)}
    runs = {name: read_trec(file) for name, file in files.items()}
    fused = min_max([runs["stemmed"], runs["bm25"]], [0.25, 0.75], lexical=[True, True])
    assert runs[FUSED] == fused
    held = json.loads((tmp_path / "out" / "tiny.json").read_text())
    assert held == json.loads(json.dumps(judged.to_json()))
    assert Record.read(tmp_path / "out" / "tiny.json") == judged
    assert held["fusion"] == text
    assert held["channels"] == ["stemmed", "bm25"]
    assert held["measures"] == held["measures_by_run"][FUSED]
    assert held["values"]["bm25"]["RR@10"]["q1"] == 0.0
    assert held["fingerprint"]["bm25"]["language"] == "none"
    assert held["counts"]["bm25"]["texts"] == 3
    assert held["build"]["counts"]["bm25"]["texts"] == held["build"]["documents"] == 5
    assert len(held["latencies_ms"]) == 3
    assert held["seconds"].keys() == {"index", "search", "fuse", "evaluate"}


def test_a_query_does_not_find_itself_where_queries_are_documents(tmp_path: Path) -> None:
    collection = open_collection(write_collection(tmp_path / "arguana"))
    options = JudgeOptions(out=tmp_path / "out")
    judged = judge(collection, {"bm25": BM25Encoder()}, tmp_path / "index", options)
    run = read_trec(tmp_path / "out" / "arguana.bm25.trec")
    assert run["q2"].keys() == {"d2", "d3"}
    assert judged.main["RR@10"]["q2"] == 1.0


def test_an_index_is_reused_and_gives_the_same(collection: Collection, tmp_path: Path) -> None:
    told: list[int] = []
    encoders = {"bm25": BM25Encoder()}
    first = judge(collection, encoders, tmp_path / "index", progress=told.append)
    assert told
    told.clear()
    second = judge(collection, {"bm25": BM25Encoder()}, tmp_path / "index", progress=told.append)
    assert not told
    assert second.values == first.values
    assert second.cost.counts == {"bm25": {"texts": 3, "without_words": 0}}


def test_a_run_folder_gives_back_what_was_judged(collection: Collection, tmp_path: Path) -> None:
    out = tmp_path / "out"
    judged = judge(collection, {"bm25": BM25Encoder()}, tmp_path / "index", JudgeOptions(out=out))
    (out / "config.json").write_text("{}")
    folder = RunFolder.open(out)
    assert folder.records == {"tiny": judged}
    assert folder.qrels("tiny") == collection.qrels()
    assert folder.queries("tiny") == collection.queries()
    assert list(folder.run("tiny")) == ["q1", "q2", "q3"]  # unanswered queries too
    assert folder.index_path("tiny") == tmp_path / "index"
    with pytest.raises(ValueError, match="no run 'dense' of tiny; there is bm25"):
        folder.run("tiny", "dense")


class Interrupted(BeirFolder):
    """A collection whose source breaks off."""

    def documents(self) -> Iterator[Document]:
        yield from islice(super().documents(), 3)
        raise OSError("the disk is gone")


def test_an_interrupted_build_is_continued(collection: Collection, tmp_path: Path) -> None:
    encoders = {"bm25": BM25Encoder()}
    build = BuildOptions(segment_documents=2, window=1, on_empty="keep")
    with pytest.raises(OSError, match="the disk is gone"):
        broken = Interrupted(tmp_path / "tiny")
        judge(broken, encoders, tmp_path / "index", JudgeOptions(build=build))
    continued = judge(collection, encoders, tmp_path / "index", JudgeOptions(build=build))
    whole = judge(collection, encoders, tmp_path / "other")
    assert continued.details["documents"] == whole.details["documents"] == 5
    assert continued.values == whole.values


def test_an_index_of_another_encoder_is_refused(collection: Collection, tmp_path: Path) -> None:
    judge(collection, {"bm25": BM25Encoder()}, tmp_path / "index")
    with pytest.raises(ValueError, match="english"):
        judge(collection, {"bm25": BM25Encoder("none")}, tmp_path / "index")


@pytest.mark.parametrize(
    "options", [JudgeOptions(fusion="mean"), JudgeOptions(measures=("ndgc@10",))]
)
def test_a_misspelt_option_costs_no_indexing(
    collection: Collection, tmp_path: Path, options: JudgeOptions
) -> None:
    encoders: dict[str, Encoder] = {"bm25": BM25Encoder(), "sparse": BM25Encoder()}
    with pytest.raises(ValueError, match=r"'mean'|'ndgc@10'"):
        judge(collection, encoders, tmp_path / "index", options)
    assert not (tmp_path / "index").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the evaluation data (LASTWORD_DATA)")
def test_bm25_of_a_real_collection(tmp_path: Path) -> None:
    """The whole path equals BM25 written out with one dense matrix, and meets the reference."""
    collection = open_collection(SHARED / "retrieval" / "cranfield")
    encoder = BM25Encoder()
    options = JudgeOptions(out=tmp_path / "out")
    judged = judge(collection, {"bm25": encoder}, tmp_path / "index", options)
    assert judged.measures["nDCG@10"] >= 0.365
    documents, queries = list(collection.documents()), collection.queries()
    scores = brute_force(encoder, [doc.content for doc in documents], list(queries.values()))
    run = read_trec(tmp_path / "out" / "cranfield.bm25.trec")
    for query_id, row in zip(queries, scores, strict=True):
        positive = {doc.id: score for doc, score in zip(documents, row, strict=True) if score > 0}
        assert run[query_id] == pytest.approx(
            {doc_id: positive[doc_id] for doc_id in run[query_id]}, abs=1e-5
        )
        assert len(run[query_id]) == min(len(positive), 1000)


def brute_force(
    encoder: BM25Encoder, documents: list[str], queries: list[str]
) -> NDArray[np.float64]:
    """Score every document for every query: (queries, documents), Lucene's BM25."""
    held = encoder.encode(documents, Role.DOCUMENT).sparse
    asked = encoder.encode(queries, Role.QUERY).sparse
    assert held is not None and asked is not None
    terms = np.unique(held.indices)
    counts = np.zeros((len(documents), len(terms)))
    rows = np.repeat(np.arange(len(documents)), np.diff(held.indptr))
    counts[rows, np.searchsorted(terms, held.indices)] = held.data
    wanted = np.zeros((len(queries), len(terms)))
    known = np.isin(asked.indices, terms)
    rows = np.repeat(np.arange(len(queries)), np.diff(asked.indptr))[known]
    wanted[rows, np.searchsorted(terms, asked.indices[known])] = asked.data[known]
    frequency = (counts > 0).sum(axis=0)
    idf = np.log(1 + (len(documents) - frequency + 0.5) / (frequency + 0.5))
    lengths = counts.sum(axis=1, keepdims=True)
    tempered = counts / (counts + 0.9 * (1 - 0.4 + 0.4 * lengths / lengths.mean()))
    scores: NDArray[np.float64] = wanted @ (idf * tempered).T
    return scores
