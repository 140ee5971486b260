"""Live rows: what blocks and terms give is what a search and a merge see."""

from pathlib import Path

import numpy as np
import pytest

import index.channels.postings as postings
import index.live_rows as live_rows
from embedder.types import Role
from index.documents import Document, UnknownDocumentError
from index.folder import Index
from index.live_rows import LivePostings, live_blocks
from index.read_documents import number_documents, read_documents
from index.writer import IndexWriter
from tests.exchanged import ENCODERS, contents, make_index


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_index(tmp_path_factory.mktemp("live") / "index")


@pytest.mark.parametrize(("block", "band"), [(2048, 1 << 16), (7, 5), (1, 1), (13, 20)])
def test_blocks_give_what_the_encoders_gave(
    path: Path, block: int, band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However rows are cut: bands of postings are taken out of a segment anew, and joined."""
    monkeypatch.setattr(live_rows, "BLOCK", block)
    monkeypatch.setattr(live_rows, "_BAND", band)
    monkeypatch.setattr(postings, "CHUNK", 64)
    with Index.open(path) as opened:
        documents: list[Document] = []
        for part in live_blocks(opened, ["dense", "bm25"]):
            texts = [document.content for document in part.documents]
            documents += part.documents
            for name, rows in part.rows.items():
                given = ENCODERS[name].encode(texts, Role.DOCUMENT)
                assert rows.owner.tolist() == given.owner.tolist()
                if given.dense is not None and rows.dense is not None:
                    assert np.array_equal(rows.dense, given.dense)
                if given.sparse is not None and rows.sparse is not None:
                    assert rows.sparse.has_canonical_format
                    assert abs(rows.sparse - given.sparse).max() == 0
        assert documents == list(opened.stream())


def test_postings_by_term_are_the_columns_of_the_blocks(path: Path) -> None:
    with Index.open(path) as opened:
        live = LivePostings(opened, "bm25")
        blocks = live_blocks(opened, ["bm25"])
        parts = [part for block in blocks if (part := block.rows["bm25"].sparse) is not None]
        start = 0
        seen: dict[int, list[tuple[int, float]]] = {}
        for part in parts:
            rows, columns = part.nonzero()
            for at, column, weight in zip(rows.tolist(), columns.tolist(), part.data, strict=True):
                seen.setdefault(column, []).append((start + at, float(weight)))
            start += part.shape[0]
        assert (live.rows, live.terms.tolist()) == (opened.documents, sorted(seen))
        for term in seen:
            held, weights = live.entries(term)
            assert list(zip(held.tolist(), weights.tolist(), strict=True)) == seen[term]
        assert live.whole and not LivePostings(opened, "sparse").whole


def test_a_merged_index_has_the_same_rows(tmp_path: Path) -> None:
    path = make_index(tmp_path / "index")
    before = contents(path, ["dense", "sparse", "bm25"])
    with IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
    assert contents(path, ["dense", "sparse", "bm25"]) == before


def test_documents_of_several_rows_keep_them(tmp_path: Path) -> None:
    path = make_index(tmp_path / "index", rows="several")
    with Index.open(path) as opened:
        for part in live_blocks(opened, ["dense"]):
            for at, document in enumerate(part.documents):
                rows = part.rows["dense"].of_text(at).dense
                assert rows is not None
                assert np.array_equal(rows, opened.vectors("dense", document.id))


def test_documents_are_found_alike_one_by_one_and_together(path: Path) -> None:
    """Through several segments: numbers give back their ids, and one that is gone is named."""
    with Index.open(path) as opened:
        assert opened.segments > 1
        ids = opened.ids()
        numbers = number_documents(opened, [*ids, *ids[:3]])
        assert opened.document_ids(np.array(sorted(numbers.values()))) == ids
        assert read_documents(opened, ids) == {name: opened.document(name) for name in ids}
        for find in (opened.document, lambda name: number_documents(opened, [ids[0], name])):
            with pytest.raises(UnknownDocumentError, match="has no document 'nobody'"):
                find("nobody")
