"""Long documents are cut into passages; a source is told by its texts."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.documents import Document
from index.folder import Index
from index.manifest import Passages
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions
from retrieval.passages.cutting import passage_text, spans
from retrieval.source import DocumentReader
from tests.synthetic import SignEncoder, documents


def test_long_documents_are_cut_and_keep_their_title(tmp_path: Path) -> None:
    text = " ".join(f"w{i}" for i in range(25))
    docs = [Document("long", "A title", text), Document("short", "", "one two")]
    encoder = SignEncoder()
    options = BuildOptions(passages=Passages(words=10, overlap=2))
    report = build_index(docs, {"dense": encoder}, tmp_path / "i", options)
    assert (report.documents, report.passages, report.rows) == (2, 4, {"dense": 4})
    assert encoder.texts == [
        "A title " + " ".join(f"w{i}" for i in range(0, 10)),
        "A title " + " ".join(f"w{i}" for i in range(8, 18)),
        "A title " + " ".join(f"w{i}" for i in range(16, 25)),
        "one two",
    ]
    more = [Document("more", "", text)]
    assert add_documents(more, {"dense": SignEncoder()}, tmp_path / "i").passages == 3
    with pytest.raises(ValueError, match="got passages of at most 5 words"):
        other = BuildOptions(passages=Passages(5))
        add_documents(documents(1), {"dense": SignEncoder()}, tmp_path / "i", other)
    with Index.open(tmp_path / "i") as index:
        assert index.passages == Passages(10, 2)
        assert list(index.row_ids("dense")) == ["long"] * 3 + ["short"] + ["more"] * 3
        start, end = index.passage("dense", 5)
        assert text[start:end] == " ".join(f"w{i}" for i in range(8, 18))


@given(st.text(max_size=200), st.integers(1, 12), st.integers(0, 11))
def test_passages_cover_every_word_in_order(text: str, words: int, overlap: int) -> None:
    passages = Passages(words, min(overlap, words - 1))
    found = spans(text, passages)
    assert found[0][0] <= found[-1][1]
    assert all(a < c and b < d for (a, b), (c, d) in itertools.pairwise(found))
    covered = {at for start, end in found for at in range(start, end)}
    assert all(at in covered for at, character in enumerate(text) if not character.isspace())
    for span in found:
        part = passage_text(Document("x", "", text), span)
        assert len(spans(part, Passages(words))) == 1


def test_passages_of_a_script_without_spaces() -> None:
    assert spans("東京は日本の首都", Passages(3)) == [(0, 3), (3, 6), (6, 8)]
    assert spans("tea 東京", Passages(2)) == [(0, 5), (5, 6)]
    assert spans("a b c", None) == [(0, 5)]
    assert spans("", Passages(3)) == [(0, 0)]
    for words, overlap in ((0, 0), (3, 3), (3, -1)):
        with pytest.raises(ValueError, match="at least one word and an overlap smaller"):
            Passages(words, overlap)


def test_a_source_of_the_same_texts_has_the_same_digest() -> None:
    def read(docs: Sequence[Document]) -> str:
        source = DocumentReader(docs)
        assert len(list(source)) == source.consumed
        return source.digest

    assert read(list(documents(9))) == read(list(documents(9)))
    one, other = Document("a", "b", "c"), Document("ab", "", "c")
    assert read([one]) != read([other])  # fields do not run into each other
