"""LangChain finds what an index finds, alone and in a chain."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import lastword
from embedder.text_encoder import TextEncoder

pytest.importorskip("langchain_core", reason="needs lastword[adapters]")
from langchain_core.documents import Document
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from lastword.adapters.langchain import LangChainEmbeddings, LangChainRetriever
from tests.one_line import check_one_line

QUERY = "how do I rotate a key"
TEXTS = ["rotate the key at night", "green tea", ""]


def as_documents(hits: lastword.SearchHits) -> list[Document]:
    return [
        Document(
            id=hit.id,
            page_content=hit.text,
            metadata={**hit.metadata, "id": hit.id, "title": hit.title, "score": hit.score},
        )
        for hit in hits
    ]


def test_documents_are_the_hits_of_a_search(engine: lastword.SearchEngine) -> None:
    retriever = LangChainRetriever(engine, k=3)
    expected = as_documents(engine.search(QUERY, k=3))
    assert retriever.invoke(QUERY) == expected
    first = expected[0]
    assert first.id == first.metadata["id"] == "keys" and first.metadata["year"] == 1999
    assert first.metadata["score"] == engine.search(QUERY)[0].score != 3  # its own came second
    assert retriever.invoke(QUERY, k=1) == expected[:1]
    assert LangChainRetriever(engine=engine).invoke(QUERY) == as_documents(engine.search(QUERY))


def test_a_filter_narrows(engine: lastword.SearchEngine) -> None:
    retriever = LangChainRetriever(engine, filter="year == 1999")
    expected = as_documents(engine.search(QUERY, filter="year == 1999"))
    assert retriever.invoke("tea")[0].id == "keys" and retriever.invoke(QUERY) == expected
    assert asyncio.run(retriever.ainvoke(QUERY, filter='lang == "en"'))[0].id == "b"
    assert len(retriever.invoke(QUERY, filter="")) == len(engine.search(QUERY))
    with pytest.raises(ValueError, match="filter"):
        LangChainRetriever(engine, filter="year ==")


def test_batches_and_tasks_find_the_same(engine: lastword.SearchEngine) -> None:
    retriever = LangChainRetriever(engine, k=2)
    expected = [as_documents(engine.search(query, k=2)) for query in (QUERY, "tea")]
    assert retriever.batch([QUERY, "tea"]) == expected
    assert asyncio.run(retriever.abatch([QUERY, "tea"])) == expected
    assert asyncio.run(retriever.ainvoke(QUERY, k=1)) == expected[0][:1]


def test_a_chain_answers_from_what_was_found(engine: lastword.SearchEngine) -> None:
    context = []

    def join(documents: list[Document]) -> str:
        context.extend(documents)
        return "\n".join(document.page_content for document in documents)

    chain = (
        {"context": LangChainRetriever(engine, k=1) | join, "question": RunnablePassthrough()}
        | ChatPromptTemplate.from_template("{context}\n\n{question}")
        | FakeListChatModel(responses=["at night"])
        | StrOutputParser()
    )
    assert chain.invoke(QUERY) == "at night"
    assert context == as_documents(engine.search(QUERY, k=1))


def test_vectors_are_the_encoders(encoder: TextEncoder) -> None:
    embeddings = LangChainEmbeddings(encoder)
    assert embeddings.embed_query(QUERY) == encoder.encode_query(QUERY, "dense").tolist()
    assert embeddings.embed_documents(TEXTS) == encoder.encode_document(TEXTS, "dense").tolist()
    assert embeddings.embed_documents([]) == []
    assert asyncio.run(embeddings.aembed_query(QUERY)) == embeddings.embed_query(QUERY)
    store = InMemoryVectorStore.from_texts(TEXTS, embeddings)
    (nearest,) = store.similarity_search(QUERY, k=1)
    assert nearest.page_content == TEXTS[0]


WRONG: Any = 3
TEXT: Any = "tea"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e, c: LangChainRetriever(WRONG), TypeError, "lastword.build; got int"),
        (lambda e, c: LangChainRetriever(e, k=WRONG / 2), TypeError, "a whole number; got 1.5"),
        (lambda e, c: LangChainRetriever(e, k=0), ValueError, "must be at least 1; got 0"),
        (lambda e, c: LangChainRetriever(e).invoke(WRONG), TypeError, "must be a str; got int"),
        (lambda e, c: LangChainRetriever(e).invoke("a", top=1), TypeError, "argument 'top'"),
        (lambda e, c: LangChainEmbeddings(WRONG), TypeError, "lastword.load_encoder; got int"),
        (
            lambda e, c: LangChainEmbeddings(c).embed_query(WRONG),
            TypeError,
            "text must be a str",
        ),
        (
            lambda e, c: LangChainEmbeddings(c).embed_documents(TEXT),
            TypeError,
            "a list of texts",
        ),
        (
            lambda e, c: LangChainEmbeddings(lastword.load_encoder("bm25")).embed_query("a"),
            ValueError,
            "this encoder gives no dense rows",
        ),
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
