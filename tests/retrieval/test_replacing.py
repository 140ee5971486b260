"""Documents that take the place of those with their ids: found as in a new index, nothing lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder
from index.documents import Document
from index.folder import Index
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions
from retrieval.retriever import Retriever
from tests.synthetic import SignEncoder, documents

REPLACE = BuildOptions(on_known="replace", segment_documents=3, window=2)
QUERIES = {"a": "w1 w2 new", "b": "w3"}


def both() -> dict[str, Encoder]:
    return {"dense": SignEncoder(), "bm25": BM25Encoder()}


def search(path: Path) -> tuple[int, dict[str, dict[str, float]]]:
    with Index.open(path) as index:
        return index.documents, Retriever(index, both()).search(QUERIES, 30)


def test_replaced_and_new_documents_are_found_as_in_an_index_of_the_outcome(
    tmp_path: Path,
) -> None:
    before = list(documents(20))
    changed = [Document(one.id, "new", one.text) for one in before[4:12]]
    fresh = [Document("x1", "", "w3 new"), Document("x2", "", "w1")]
    build_index(before, both(), tmp_path / "i")
    add_documents([*changed, *fresh], both(), tmp_path / "i", REPLACE)
    kept = [one for one in before if one not in before[4:12]]
    build_index([*kept, *changed, *fresh], both(), tmp_path / "j")
    assert search(tmp_path / "i") == search(tmp_path / "j")


def test_a_source_that_breaks_leaves_the_documents_that_it_had_not_replaced(tmp_path: Path) -> None:
    before = list(documents(20))
    build_index(before, both(), tmp_path / "i")

    def broken() -> Iterator[Document]:
        yield from (Document(one.id, "new", one.text) for one in before[:4])
        raise OSError("the source is gone")

    with pytest.raises(OSError, match="the source is gone"):
        add_documents(broken(), both(), tmp_path / "i", REPLACE)
    with Index.open(tmp_path / "i") as index:
        assert index.documents == 20
        titles = [index.document(one.id).title for one in before]
    assert titles == ["new"] * 3 + [one.title for one in before[3:]]


def test_ids_that_come_twice_in_the_source_are_still_refused(tmp_path: Path) -> None:
    build_index(list(documents(5)), both(), tmp_path / "i")
    twice = [Document("d1", "", "a"), Document("d1", "", "b")]
    with pytest.raises(ValueError, match="comes twice"):
        add_documents(twice, both(), tmp_path / "i", REPLACE)


def test_replacing_is_named_when_an_interrupted_addition_goes_on_without_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="on_known is error or replace; got 'keep'"):
        BuildOptions(on_known="keep")  # type: ignore[arg-type]
    assert BuildOptions().settings(None) != REPLACE.settings(None)
