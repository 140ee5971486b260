"""One segment: what a builder refuses, what a reader checks, what a merge copies."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.types import Representation
from index.channels.dense import DenseChannel
from index.channels.postings import Postings
from index.channels.weighting import Weighting
from index.documents import Document
from index.lucene.segment_files import LuceneRows
from index.manifest import ChannelSpec, Ingest, Manifest, Passages
from index.merging import append_live
from index.segment import LiveDocuments, Segment
from index.segment_builder import SegmentBuilder
from index.segment_record import SegmentRecord
from index.storage.checksums import FileRecord
from index.storage.layout import required_files

SPECS = {
    "dense": ChannelSpec("dense", "dense", "{}", dim=4, factory="Flat"),
    "words": ChannelSpec("words", "inverted", "{}", dim=9, weighting=Weighting("impacts")),
}


def builder(folder: Path, taken: tuple[str, ...] = ()) -> SegmentBuilder:
    return SegmentBuilder(folder, SPECS, lambda ids: taken)


def rows(owner: list[int], start: int = 0) -> Representation:
    """Return rows whose values tell which row they are."""
    n = len(owner)
    numbers = np.arange(start, start + n)
    sparse = np.zeros((n, 9), np.float32)
    sparse[np.arange(n), numbers % 9] = numbers + 1
    return Representation(
        np.eye(4, dtype=np.float32)[numbers % 4], csr_matrix(sparse), np.array(owner, np.int64)
    )


def filled(folder: Path, rows_per_passage: list[list[int]]) -> SegmentRecord:
    """Write a segment: one document per item, whose passages have so many rows each."""
    into = builder(folder)
    for number, passages in enumerate(rows_per_passage):
        spans = [(at, at + 1) for at in range(len(passages))]
        into.add(Document(f"d{number}", "", "x" * len(passages)), spans, number)
    owner = [
        at
        for at, count in enumerate(count for passages in rows_per_passage for count in passages)
        for _ in range(count)
    ]
    for channel in SPECS:
        into.add_rows(channel, rows(owner), into.passages)
    return into.finish()


def test_a_segment_gives_back_rows_passages_and_documents(tmp_path: Path) -> None:
    record = filled(tmp_path / "s", [[1], [2, 0, 1], [1]])
    assert (record.documents, record.passages, record.rows) == (3, 5, {"dense": 5, "words": 5})
    segment = Segment.open(tmp_path / "s", record, SPECS)
    assert segment.passages.tolist() == [[0, 0, 1], [1, 0, 1], [1, 1, 2], [1, 2, 3], [2, 0, 1]]
    held = segment.channels["dense"]
    assert held.owner.tolist() == [0, 1, 1, 3, 4]
    assert held.documents.tolist() == [0, 1, 1, 1, 2]
    assert list(held.of(1)) == [1, 2, 3]
    assert not held.single
    assert isinstance(held.content, DenseChannel)
    assert held.content.read(slice(None)).tolist() == np.eye(4)[[0, 1, 2, 3, 0]].tolist()


def test_one_row_per_document_is_noticed(tmp_path: Path) -> None:
    record = filled(tmp_path / "s", [[1], [1], [1]])
    assert Segment.open(tmp_path / "s", record, SPECS).channels["words"].single
    record = filled(tmp_path / "t", [[2], [0], [1]])  # as many rows as documents, and yet
    assert not Segment.open(tmp_path / "t", record, SPECS).channels["words"].single


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=8),
    st.data(),
)
def test_a_merge_copies_exactly_what_is_live(
    tmp_path_factory: pytest.TempPathFactory, shape: list[list[int]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("merge")
    record = filled(folder / "s", shape)
    live = data.draw(st.lists(st.booleans(), min_size=len(shape), max_size=len(shape)))
    segment = Segment.open(folder / "s", record, SPECS)
    gone = [at for at, kept in enumerate(live) if not kept]
    documents = segment.documents.without(gone)
    kept = Segment(record, documents, segment.columns, segment.passages, segment.channels)
    into = builder(folder / "t")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("index.merging._BLOCK", data.draw(st.sampled_from([1, 2, 3, 4096])))
        append_live([kept], into, SPECS)
    copied = Segment.open(folder / "t", into.finish(), SPECS)
    assert [doc.id for _, doc in copied.documents.store.stream()] == [
        f"d{at}" for at, one in enumerate(live) if one
    ]
    for name in SPECS:
        before, after = segment.channels[name], copied.channels[name]
        wanted = [row for row, doc in enumerate(before.documents) if live[doc]]
        ids = segment.documents.store.ids_of(before.documents[wanted].tolist())
        assert copied.documents.store.ids_of(after.documents.tolist()) == ids
        spans = [copied.passages[owner, 1:].tolist() for owner in after.owner]
        assert spans == [segment.passages[before.owner[row], 1:].tolist() for row in wanted]
        assert np.array_equal(matrix(after.content), matrix(before.content)[wanted])


def matrix(held: DenseChannel | Postings | LuceneRows) -> NDArray[np.float32]:
    if isinstance(held, DenseChannel):
        return held.read(slice(None))
    full: NDArray[np.float32] = held.to_csr().toarray()
    return full


def test_a_builder_refuses_what_does_not_fit(tmp_path: Path) -> None:
    into = builder(tmp_path / "s", taken=("old",))
    into.add(Document("a", "", "x"), [(0, 1)], 1)
    with pytest.raises(ValueError, match="'a' comes twice: documents 1 and 5 of the source"):
        into.add(Document("a", "", "y"), [(0, 1)], 5)
    with pytest.raises(ValueError, match="'b' has no passage"):
        into.add(Document("b", "", "y"), [], 2)
    with pytest.raises(ValueError, match="rows of width 4; got 3"):
        narrow = Representation(np.eye(1, 3, dtype=np.float32), None, np.zeros(1, np.int64))
        into.add_rows("dense", narrow, 1)
    into.add_rows("dense", rows([0]), 1)
    with pytest.raises(ValueError, match="'words' has rows of 0 texts; expected 1"):
        into.finish()
    into.add(Document("old", "", "x"), [(0, 1)], 7)
    with pytest.raises(ValueError, match=r"'old' \(number 7 of the source\) is in the index"):
        into.check_ids()
    into.abandon()
    assert list(tmp_path.iterdir()) == []


def test_tombstones_hide_documents(tmp_path: Path) -> None:
    record = filled(tmp_path / "s", [[1], [2], [1]])
    np.save(tmp_path / "s/deleted-000002.npy", np.array([1]))
    files = {**record.files, "deleted-000002.npy": FileRecord.of(tmp_path / "s/deleted-000002.npy")}
    hidden = SegmentRecord(
        record.name, 3, 3, record.rows, files, deleted=1, tombstone="deleted-000002.npy"
    )
    assert hidden.live == 2
    segment = Segment.open(tmp_path / "s", hidden, SPECS)
    assert segment.documents.find(["d0", "d1", "d2", "d3"]) == {"d0": 0, "d2": 2}
    live = segment.channels["words"].live
    assert live is not None
    assert live.tolist() == [True, False, False, True]
    assert LiveDocuments.open(tmp_path / "s", record).find(["d1"]) == {"d1": 1}


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    record = filled(tmp_path / "s", [[1], [2], [1]])
    fewer = SegmentRecord(record.name, 2, 3, record.rows, record.files)
    with pytest.raises(ValueError, match=r"manifest has 2 documents; documents\.sqlite has 3"):
        Segment.open(tmp_path / "s", fewer, SPECS)
    np.save(tmp_path / "s/dense/owner.npy", np.zeros(3, np.int32))
    bare = SegmentRecord(record.name, 3, 3, record.rows, {})
    with pytest.raises(
        ValueError, match=r"owner\.npy is damaged: expected int32 of shape \(4\), got <i4 of \(3\)"
    ):
        Segment.open(tmp_path / "s", bare, SPECS)
    (tmp_path / "s/passages.npy").write_bytes(b"not an array")
    with pytest.raises(ValueError, match=r"passages\.npy is damaged: it is no \.npy file"):
        Segment.open(tmp_path / "s", bare, SPECS)


def test_a_manifest_survives_json() -> None:
    names = required_files({"dense": "dense", "words": "postings"}) | {"deleted-000002.npy"}
    files = {name: FileRecord(9, "ab" * 32) for name in sorted(names)}
    record = SegmentRecord("000001", 3, 4, {"dense": 4, "words": 5}, files, 1, "deleted-000002.npy")
    ingest = Ingest("add", "{}", "ff", 3, 1, 4, {"dense": 4}, {"dense": {"truncated": 2}})
    manifest = Manifest(7, 2, SPECS, (record,), Passages(100, 20), ingest)
    assert Manifest.from_json(json.loads(json.dumps(manifest.to_json()))) == manifest
    assert manifest.documents == 2
    assert ingest.consumed == 4


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "Upper", "."])
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        ChannelSpec(name, "dense", "{}", factory="Flat")
    with pytest.raises(ValueError, match="outside the index"):
        SegmentRecord(name, 0, 0, {}, {})
    for file in ("../x", "/etc/x", ""):
        with pytest.raises(ValueError, match="outside the index"):
            SegmentRecord("000001", 0, 0, {}, {file: FileRecord(1, "")})


def test_a_tombstone_goes_with_deleted_documents() -> None:
    """The check once stood after a return, where nothing reached it."""
    for deleted, tombstone in ((1, None), (0, "deleted-2.npy")):
        with pytest.raises(ValueError, match="a tombstone goes with deleted documents"):
            SegmentRecord("000001", 3, 3, {}, {}, deleted, tombstone)
