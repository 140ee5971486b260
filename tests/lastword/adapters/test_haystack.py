"""Haystack finds what an index finds, alone and in a pipeline that is kept as YAML."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lastword
from embedder.text_encoder import TextEncoder

pytest.importorskip("haystack", reason="needs lastword[adapters]")
from haystack import Document, Pipeline, telemetry
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

from lastword.adapters.haystack import (
    HaystackDocumentEmbedder,
    HaystackRetriever,
    HaystackTextEmbedder,
)
from tests.one_line import check_one_line

QUERY = "how do I rotate a key"
TEXTS = ["rotate the key at night", "green tea", "a stone"]


def as_documents(hits: lastword.SearchHits) -> list[Document]:
    titles = [{"title": hit.title} if hit.title else {} for hit in hits]
    return [
        Document(id=hit.id, content=hit.text, meta={**hit.metadata, **title}, score=hit.score)
        for hit, title in zip(hits, titles, strict=True)
    ]


def pipeline_of(**parts: object) -> Pipeline:
    pipeline = Pipeline()
    for name, part in parts.items():
        pipeline.add_component(name, part)
    return pipeline


def test_nobody_is_told_of_the_tests() -> None:
    assert telemetry._telemetry.telemetry is None


def test_documents_are_the_hits_of_a_search(engine: lastword.SearchEngine) -> None:
    retriever = HaystackRetriever(engine, top_k=3)
    expected = as_documents(engine.search(QUERY, k=3))
    assert retriever.run(QUERY) == {"documents": expected}
    assert expected[0].id == "keys" and expected[0].meta["title"] == "Keys"
    assert retriever.run(QUERY, top_k=1) == {"documents": expected[:1]}
    answer = pipeline_of(retriever=retriever).run({"query": QUERY})
    assert answer == {"retriever": {"documents": expected}}


def test_a_filter_narrows_and_is_kept_in_yaml(tmp_path: Path) -> None:
    with lastword.build(tmp_path / "my.index", [{"text": "a", "n": n} for n in range(3)]) as index:
        pipeline = pipeline_of(retriever=HaystackRetriever(index.path, filter="n >= 1"))
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["lastword.adapters.haystack"])
    found = again.run({"query": "a"})["retriever"]["documents"]
    assert {document.meta["n"] for document in found} == {1, 2}
    found = again.run({"query": "a", "filter": "n == 0"})["retriever"]["documents"]
    assert [document.meta["n"] for document in found] == [0]
    with pytest.raises(ValueError, match="filter"):
        HaystackRetriever(tmp_path / "my.index", filter="n >=")


def test_a_pipeline_in_yaml_opens_the_index_again(tmp_path: Path) -> None:
    with lastword.build(tmp_path / "my.index", TEXTS) as index:
        expected = as_documents(index.search(QUERY, k=2))
    pipeline = pipeline_of(
        retriever=HaystackRetriever(tmp_path / "my.index", top_k=2),
        embedder=HaystackTextEmbedder("bundled", "prompteol"),
    )
    again = Pipeline.loads(pipeline.dumps(), allowed_modules=["lastword.adapters.haystack"])
    answer = again.run({"retriever": {"query": QUERY}, "embedder": {"text": QUERY}})
    assert answer["retriever"]["documents"] == expected
    encoder = lastword.load_encoder("bundled", "prompteol")
    assert answer["embedder"]["embedding"] == encoder.encode_query(QUERY, "dense").tolist()


def test_vectors_are_the_encoders(encoder: TextEncoder) -> None:
    store = InMemoryDocumentStore(embedding_similarity_function="dot_product")
    writing = pipeline_of(embed=HaystackDocumentEmbedder(encoder), write=DocumentWriter(store))
    writing.connect("embed", "write")
    documents = [Document(id=str(at), content=text) for at, text in enumerate(TEXTS)]
    writing.run({"documents": documents})
    rows = encoder.encode_document(TEXTS, "dense").tolist()
    stored = sorted(store.filter_documents(), key=lambda document: document.id)
    assert [document.embedding for document in stored] == rows
    assert all(document.embedding is None for document in documents)  # what was given stays
    asking = pipeline_of(
        embed=HaystackTextEmbedder(encoder), find=InMemoryEmbeddingRetriever(store, top_k=1)
    )
    asking.connect("embed.embedding", "find.query_embedding")
    (nearest,) = asking.run({"text": QUERY})["find"]["documents"]
    assert nearest.id == "0"


WRONG: Any = 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e, c: HaystackRetriever(WRONG), TypeError, "lastword.build; got int"),
        (lambda e, c: HaystackRetriever(e, WRONG / 2), TypeError, "a whole number; got 1.5"),
        (lambda e, c: HaystackRetriever(e).run(WRONG), TypeError, "must be a str; got int"),
        (lambda e, c: HaystackRetriever(e).run("a", {"x": 1}), ValueError, "written as text"),
        (lambda e, c: HaystackRetriever(e).to_dict(), ValueError, "give the path of its index"),
        (lambda e, c: HaystackTextEmbedder(WRONG), TypeError, "lastword.load_encoder; got int"),
        (lambda e, c: HaystackTextEmbedder(c, "promptreps"), ValueError, "this encoder has its"),
        (lambda e, c: HaystackTextEmbedder(c).to_dict(), ValueError, "give the name of its model"),
        (lambda e, c: HaystackTextEmbedder(c).run(["a"]), TypeError, "must be a str; got list"),
        (lambda e, c: HaystackDocumentEmbedder(c).run(["a"]), TypeError, "a list of Documents"),
        (lambda e, c: HaystackDocumentEmbedder(c).run("a"), TypeError, "a list of Documents"),
    ],
)
def test_a_wrong_call_is_one_clear_error(
    call: Callable[[Any, Any], object],
    error: type[Exception],
    message: str,
    engine: lastword.SearchEngine,
    encoder: TextEncoder,
) -> None:
    check_one_line(lambda: call(engine, encoder), error, message)
