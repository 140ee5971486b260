"""Ids of a build that may be there already: none is missed, and the files are rarely asked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedder.encoders.bm25 import BM25Encoder
from index.documents import Document
from index.segment import LiveDocuments
from index.storage.written_ids import WrittenIds
from retrieval.build import build_index
from retrieval.options import BuildOptions


@given(st.lists(st.lists(st.integers(0, 99)), max_size=9), st.lists(st.integers(0, 120)))
def test_exactly_the_ids_of_segments_are_possible(
    segments: list[list[int]], asked: list[int]
) -> None:
    written = WrittenIds()
    for at, ids in enumerate(segments):
        written.add(f"{at}", [f"d{each}" for each in ids])
    there = {each for ids in segments for each in ids}
    wanted = [f"d{each}" for each in asked if each in there]
    assert written.possible([f"d{each}" for each in asked]) == wanted
    assert written.segments == {f"{at}" for at in range(len(segments))}


def test_a_build_opens_no_earlier_segment_for_ids_that_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    open_live = LiveDocuments.open

    def noted(folder: Path, record: object) -> LiveDocuments:
        opened.append(folder.name)
        return open_live(folder, record)  # type: ignore[arg-type]

    monkeypatch.setattr(LiveDocuments, "open", staticmethod(noted))
    docs = [Document(f"d{at}", "", "green tea") for at in range(40)]
    small = BuildOptions(segment_documents=10, window=4)
    build_index(docs, {"bm25": BM25Encoder()}, tmp_path / "i", small)
    assert opened == []
    with pytest.raises(ValueError, match=r"'d3' \(number 41 of the source\) is in the index"):
        build_index([*docs, docs[3]], {"bm25": BM25Encoder()}, tmp_path / "j", small)
    assert set(opened) == {"000001", "000002", "000003", "000004"}
