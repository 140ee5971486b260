"""LlamaIndex finds what an index finds, alone and under a query engine."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import lastword
from embedder.text_encoder import TextEncoder

pytest.importorskip("llama_index.core", reason="needs lastword[adapters]")
from llama_index.core import VectorStoreIndex
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import QueryBundle, TextNode

from lastword.adapters.llama_index import LlamaIndexEmbedding, LlamaIndexRetriever
from tests.one_line import check_one_line

QUERY = "how do I rotate a key"
TEXTS = ["rotate the key at night", "green tea", "a stone"]
NodeFacts = list[tuple[str, str, dict[str, Any], float | None]]


def facts_of(nodes: list[Any]) -> NodeFacts:
    return [(each.node_id, each.text, each.metadata, each.score) for each in nodes]


def facts_of_hits(hits: lastword.SearchHits) -> NodeFacts:
    titles = [{"title": hit.title} if hit.title else {} for hit in hits]
    return [
        (hit.id, hit.text, {**hit.metadata, **title}, hit.score)
        for hit, title in zip(hits, titles, strict=True)
    ]


def test_nodes_are_the_hits_of_a_search(engine: lastword.SearchEngine) -> None:
    retriever = LlamaIndexRetriever(engine, similarity_top_k=3)
    facts = facts_of(retriever.retrieve(QUERY))
    assert facts == facts_of_hits(engine.search(QUERY, k=3))
    assert facts[0][0] == "keys" and facts[0][2] == {"title": "Keys", "year": 1999, "score": 3}
    assert facts_of(retriever.retrieve(QueryBundle(QUERY))) == facts
    assert facts_of(asyncio.run(retriever.aretrieve(QUERY))) == facts
    assert facts_of(LlamaIndexRetriever(engine).retrieve("tea")) == facts_of_hits(
        engine.search("tea")
    )


def test_a_filter_narrows(engine: lastword.SearchEngine) -> None:
    nodes = LlamaIndexRetriever(engine, filter="year == 1999").retrieve("tea")
    assert [node.node_id for node in nodes] == ["keys"]
    with pytest.raises(TypeError, match="filter"):
        LlamaIndexRetriever(engine, filter={"year": 1999})  # type: ignore[arg-type]


def test_a_query_engine_answers_from_what_was_found(engine: lastword.SearchEngine) -> None:
    answers = RetrieverQueryEngine.from_args(LlamaIndexRetriever(engine, 1), llm=MockLLM())
    answer = answers.query(QUERY)
    assert facts_of(answer.source_nodes) == facts_of_hits(engine.search(QUERY, k=1))
    assert "title: Keys\n\nrotate the key at night" in str(answer)  # what the model was given


def test_vectors_are_the_encoders(encoder: TextEncoder) -> None:
    embedding = LlamaIndexEmbedding(encoder)
    rows = encoder.encode_document(TEXTS, "dense").tolist()
    query = encoder.encode_query(QUERY, "dense").tolist()
    assert embedding.get_text_embedding_batch(TEXTS) == rows
    assert asyncio.run(embedding.aget_text_embedding_batch(TEXTS)) == rows
    assert embedding.get_query_embedding(QUERY) == query
    assert asyncio.run(embedding.aget_query_embedding(QUERY)) == query
    nodes = [TextNode(id_=str(at), text=text) for at, text in enumerate(TEXTS)]
    index = VectorStoreIndex(nodes, embed_model=embedding)
    (nearest,) = index.as_retriever(similarity_top_k=1).retrieve(QUERY)
    assert nearest.node_id == "0"


def test_a_pipelines_cache_mixes_no_two_encoders(encoder: TextEncoder) -> None:
    """LlamaIndex keys it by the fields of the embedding, of which the encoder is none."""
    other = lastword.load_encoder("bundled", "prompteol")
    pipeline = IngestionPipeline(transformations=[LlamaIndexEmbedding(encoder)])
    first = pipeline.run(nodes=[TextNode(id_="0", text=TEXTS[0])])
    again = IngestionPipeline(transformations=[LlamaIndexEmbedding(other)], cache=pipeline.cache)
    second = again.run(nodes=[TextNode(id_="0", text=TEXTS[0])])
    assert first[0].embedding == encoder.encode_document(TEXTS[0], "dense").tolist()
    assert second[0].embedding == other.encode_document(TEXTS[0], "dense").tolist()


WRONG: Any = 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e, c: LlamaIndexRetriever(WRONG), TypeError, "lastword.build; got int"),
        (lambda e, c: LlamaIndexRetriever(e, WRONG / 2), TypeError, "a whole number; got 1.5"),
        (lambda e, c: LlamaIndexRetriever(e, 0), ValueError, "must be at least 1; got 0"),
        (lambda e, c: LlamaIndexEmbedding(WRONG), TypeError, "lastword.load_encoder; got int"),
        (lambda e, c: LlamaIndexEmbedding(c).get_query_embedding(WRONG), TypeError, "be a str"),
        (lambda e, c: LlamaIndexEmbedding(c).get_text_embedding(["a"]), TypeError, "be a str"),
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
