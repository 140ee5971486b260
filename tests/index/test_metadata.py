"""Metadata of documents: kept beside the texts, given back, and free where there is none."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.document_store import DocumentStore, DocumentWriter
from index.documents import Document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def stored(path: Path, documents: list[Document]) -> DocumentStore:
    writer = DocumentWriter(path)
    writer.add(documents)
    writer.close()
    return DocumentStore(path)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), min_size=1, max_size=4))
def test_any_metadata_comes_back(
    tmp_path_factory: pytest.TempPathFactory, metadata: list[dict[str, object]]
) -> None:
    documents = [Document(f"d{at}", "", "text", facts) for at, facts in enumerate(metadata)]
    store = stored(tmp_path_factory.mktemp("m") / "d.sqlite", documents)
    assert [document for _, document in store.stream()] == documents
    assert [store.document(at) for at in range(len(documents))] == documents


def test_documents_without_metadata_cost_no_table(tmp_path: Path) -> None:
    plain = stored(tmp_path / "plain.sqlite", [Document("a", "", "x")])
    assert dict(plain.document(0).metadata) == {}
    assert b"metadata" not in (tmp_path / "plain.sqlite").read_bytes()


@pytest.mark.parametrize(
    "facts", [{"a": {1, 2}}, {"a": float("nan")}, {1: "a"}, ["a"], "a", [], None]
)
def test_metadata_that_json_cannot_hold_is_refused_by_the_document(facts: object) -> None:
    with pytest.raises(TypeError, match="document 'a': metadata must be what JSON can hold"):
        Document("a", "", "x", facts)  # type: ignore[arg-type]


def nested(depth: int) -> dict[str, object]:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return {"a": value}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (nested(100), "nested more than 100 deep"),
        (nested(900), "nested more than 100 deep"),
        ({"a": ["\ud83d"]}, r"\\ud83d is half a character"),
        ({"\udc00": 1}, r"\\udc00 is half a character"),
    ],
)
def test_metadata_that_could_not_be_read_again_is_refused(
    facts: dict[str, object], message: str
) -> None:
    """Deep metadata was stored, and `get` said that there was no such document."""
    with pytest.raises(ValueError, match=f"document 'a': metadata: {message}"):
        Document("a", "", "x", facts)


def test_the_deepest_metadata_comes_back(tmp_path: Path) -> None:
    document = Document("a", "", "x", {**nested(98), "smile": "\U0001f600"})
    assert stored(tmp_path / "d.sqlite", [document]).document(0) == document
