"""Filters of every channel against the unfiltered search of everything, filtered in Python."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.random_filters import random_filter, random_metadata
from embedder.encoders.bm25 import BM25Encoder
from embedder.lucene.jvm import INSTALL
from embedder.types import Encoder, Representation, Role
from index.channels.weighting import Weighting
from index.documents import Document
from index.filters.kept import KeptDocuments
from index.folder import Index
from index.manifest import Passages
from index.writer import IndexWriter
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.outside.lucene import AnseriniOptions, open_lucene
from retrieval.retriever import Retriever
from retrieval.run import Run
from tests.lucene_indexes import text_objects, write_lucene
from tests.synthetic import SignEncoder, WordRowsEncoder, documents, queries

COUNT, DELETED, K = 300, 40, 7


class SeveralRowsEncoder(WordRowsEncoder):
    """A row for each word of a document, and one for a query."""

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        if role is Role.QUERY:
            return SignEncoder.encode(self, texts, role)
        return super().encode(texts, role)


NATIVE: dict[str, Encoder] = {
    "dense": SignEncoder(),
    "words": SeveralRowsEncoder(),
    "graph": SignEncoder(),
    "lists": SignEncoder(),
    "bm25": BM25Encoder(),
    "sparse": BM25Encoder(),
}
CHANNELS = {
    "words": ChannelOptions("dense", factory="Flat"),
    "graph": ChannelOptions("dense", factory="HNSW8"),
    "lists": ChannelOptions("dense", factory="IVF4,Flat"),
    "sparse": ChannelOptions("inverted", weighting=Weighting("impacts")),
    "lucene": ChannelOptions("inverted", weighting=Weighting("bm25"), engine="lucene"),
    "impacts": ChannelOptions("inverted", weighting=Weighting("impacts"), engine="lucene"),
}


def collection() -> Iterator[Document]:
    random = Random(5)
    for document in documents(COUNT):
        yield replace(document, metadata=random_metadata(random) if random.random() < 0.9 else {})


METADATA = {document.id: document.metadata for document in collection()}


def build(path: Path, encoders: Mapping[str, Encoder], passages: Passages | None = None) -> Path:
    """Make an index of three segments, of which documents were deleted."""
    channels = {name: each for name, each in CHANNELS.items() if name in encoders}
    options = BuildOptions(channels, segment_documents=110, passages=passages)
    build_index(collection(), encoders, path, options)
    with IndexWriter(path) as writer:
        writer.delete([f"d{at}" for at in range(0, COUNT, COUNT // DELETED)][:DELETED])
        writer.commit()
    return path


@pytest.fixture(scope="module", params=[None, Passages(3, 1)], ids=["whole", "passages"])
def native(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    return build(tmp_path_factory.mktemp("native") / "i", NATIVE, request.param)


def check_narrowed(retriever: Retriever, filters: int, approximate: tuple[str, ...] = ()) -> None:
    """Compare runs of random filters with the run of all documents."""
    asked = queries(3)
    everything = retriever.channel_runs(asked, COUNT)
    random = Random(11)
    for _ in range(filters):
        text, meets = random_filter(random)
        kept = {name for name, data in METADATA.items() if meets(data)}
        for name, run in retriever.with_filter(text).channel_runs(asked, K).items():
            for query_id, scores in run.items():
                whole = everything[name][query_id]
                found = {each: score for each, score in whole.items() if each in kept}
                best = sorted(found.values(), reverse=True)[:K]
                assert {each: whole[each] for each in scores} == scores, (name, text)
                assert scores.keys() <= kept and len(scores) == len(best), (name, text)
                assert name in approximate or sorted(scores.values(), reverse=True) == best


def test_native_channels_find_the_best_of_what_a_filter_keeps(native: Path) -> None:
    with Index.open(native) as index:
        check_narrowed(Retriever(index, NATIVE), 20, ("graph", "lists"))


def test_lucene_finds_the_best_of_what_a_filter_keeps(tmp_path: Path) -> None:
    pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")
    encoders: dict[str, Encoder] = {"lucene": BM25Encoder(), "impacts": BM25Encoder()}
    with Index.open(build(tmp_path / "i", encoders, Passages(4, 2))) as index:
        check_narrowed(Retriever(index, encoders), 12)


def test_an_index_beside_ours_finds_the_best_of_what_a_filter_keeps(tmp_path: Path) -> None:
    pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")
    there = list(documents(200, start=60))  # the last of them are not ours
    place = write_lucene(
        tmp_path / "there", text_objects(there), "JsonCollection", "storeDocvectors"
    )
    encoders: dict[str, Encoder] = {"bm25": BM25Encoder()}
    path = build(tmp_path / "i", encoders)
    for options in (AnseriniOptions(), AnseriniOptions(feedback="rm3:documents=3")):
        channel = open_lucene(str(place), options)
        retriever = Retriever(Index.open(path), encoders, outside={"lucene": channel})
        channel.close()
        if not options.feedback:
            check_narrowed(retriever, 12)
        narrowed = retriever.with_filter('lang == "de"')
        for query_id, text in queries(3).items():  # parts of a score add up to it
            for found, score in narrowed.channel_runs({query_id: text}, 3)["lucene"][
                query_id
            ].items():
                match = narrowed.outside["lucene"].match(text, None, found)
                assert match.score == pytest.approx(score, abs=1e-4)
        retriever.close()


def test_fusion_explanations_and_feedback_see_the_filtered_documents_alone(native: Path) -> None:
    encoders = {name: NATIVE[name] for name in ("dense", "bm25")}
    with Index.open(native) as index:
        retriever = Retriever(index, encoders).with_filter("open == true")
        found = retriever.search(queries(3), 5)
        assert all(METADATA[each].get("open") is True for run in found.values() for each in run)
        learning = retriever.with_feedback("rm3:documents=2,common=1").with_filter("open == true")
        taught = learning.channel_runs(queries(3), 5)["bm25"]
        again = retriever.with_feedback("rm3:documents=2,common=1").channel_runs(queries(3), 5)
        assert taught == again["bm25"] != retriever.channel_runs(queries(3), 5)["bm25"]
        query = queries(1)["q0"]
        best = next(iter(retriever.search({"q": query}, 1)["q"]))
        assert retriever.explain(query, best).channels[1].rank is not None
        whole = retriever.with_filter(None)
        other = next(
            each for each in whole.search({"q": query}, 50)["q"]
            if METADATA[each].get("open") is not True
        )  # fmt: skip
        explained = retriever.explain(query, other)
        assert explained.score == 0 and [part.rank for part in explained.channels] == [None, None]
        assert explained.channels[1].score == whole.explain(query, other).channels[1].score > 0


def test_kept_documents_are_streamed_in_order(native: Path) -> None:
    with Index.open(native) as index:
        kept = KeptDocuments.of(index, "year >= 2000")
        ids = [document.id for document in kept]
        assert kept.ids() == ids and len(kept) == len(ids) > 0
        assert ids == [each for each in index.ids() if _number(METADATA[each].get("year")) >= 2000]
        assert list(kept.among_live) == [each in ids for each in index.ids()]
        assert len(KeptDocuments.of(index, None)) == index.documents
        assert list(retrieved(index, "year < 0")) == []


def retrieved(index: Index, text: str) -> Run:
    run = Retriever(index, {"bm25": NATIVE["bm25"]}).with_filter(text).search(queries(1), 5)["q0"]
    return {each: {} for each in run}


def _number(value: Any) -> float:  # noqa: ANN401
    return -1 if isinstance(value, bool) or not isinstance(value, int | float) else value


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        ("yaer == 1", "no document has a field yaer; there is year"),
        ("author.nme == 1", "no document has a field author.nme; there is author.name.*"),
        ("LANG == 1", "no document has a field LANG; there is lang"),
        ("zzz == 1", "no document has a field zzz; there are others, such as author, .*"),
        ("1 in date.x", "no document has a field date.x; .*"),
        ("`author`.`odd name` == 'a'", "author.`odd name` is a text .* it is a number"),
    ],
)  # fmt: skip
def test_what_no_document_can_meet_is_told(native: Path, text: str, remark: str) -> None:
    with Index.open(native) as index:
        (told,) = KeptDocuments.of(index, text).remarks()
        assert re.fullmatch(remark, told), told
        assert KeptDocuments.of(index, 'year != 1 and lang == "de"').remarks() == []


def test_an_index_without_metadata_says_so(tmp_path: Path) -> None:
    build_index(documents(5), {"bm25": BM25Encoder()}, tmp_path / "i")
    with Index.open(tmp_path / "i") as index:
        kept = KeptDocuments.of(index, "year != 2020")
        assert len(kept) == 5
        assert kept.remarks() == ["no document has a field year; none has metadata"]
