"""Laws of building: streaming, resuming, passages, empty documents, shared encoders."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.specs import NO_SPEC
from embedder.types import Encoder, Representation, Role
from index.channels.weighting import Weighting
from index.documents import Document
from index.folder import Index
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions, ChannelOptions
from tests.synthetic import SignEncoder, WordRowsEncoder, documents

SMALL = BuildOptions(segment_documents=30, window=7)


def both() -> dict[str, Encoder]:
    return {"dense": SignEncoder(), "bm25": BM25Encoder()}


def contents(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "lock"
    }


def test_the_report_counts_everything(tmp_path: Path) -> None:
    docs = [*documents(50), Document("e1", "", " "), Document("e2", "", "")]
    options = BuildOptions(segment_documents=20, on_empty="skip")
    report = build_index(docs, both(), tmp_path / "i", options)
    assert (report.documents, report.passages, report.skipped_empty) == (50, 50, 2)
    assert report.rows == {"dense": 50, "bm25": 50}
    assert report.counts["bm25"]["texts"] == 50
    assert report.resumed == 0
    with Index.open(tmp_path / "i") as index:
        assert (index.documents, index.segments) == (50, 3)
        assert {name: spec.dim for name, spec in index.channels.items()} == {
            "dense": 64,
            "bm25": 2**62,
        }


def test_progress_tells_documents_read(tmp_path: Path) -> None:
    told: list[int] = []
    build_index(documents(70), both(), tmp_path / "i", SMALL, told.append)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0, 70)
    assert len(told) > 8


def test_a_complete_index_is_not_built_over(tmp_path: Path) -> None:
    build_index(documents(10), both(), tmp_path / "i")
    before = contents(tmp_path / "i")
    for resume in (True, False):
        with pytest.raises(ValueError, match="holds a complete index; add documents"):
            build_index(documents(10), both(), tmp_path / "i", BuildOptions(resume=resume))
    assert contents(tmp_path / "i") == before


def test_an_id_that_comes_twice_is_named_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "i"
    twice = [*documents(33), Document("d31", "", "again"), *documents(9, start=40)]
    with pytest.raises(ValueError, match="'d31' comes twice: documents 32 and 34 of the source"):
        build_index(twice, both(), path, SMALL)
    far = [*documents(45), Document("d2", "", "again"), *documents(9, start=50)]
    with pytest.raises(ValueError, match=r"'d2' \(number 46 of the source\) is in the index"):
        build_index(far, both(), path, SMALL)
    with Index.open(path) as index:
        assert index.documents == 30
        assert index.check() == []
    build_index(documents(100), both(), path, SMALL)
    before = contents(path)
    with pytest.raises(ValueError, match=r"'d99' \(number 3 of the source\) is in the index"):
        add_documents([*documents(2, start=200), *documents(1, start=99)], both(), path)
    assert contents(path) == before


def test_empty_documents_are_refused_left_out_or_kept(tmp_path: Path) -> None:
    docs = [*documents(3), Document("blank", "", " \n"), *documents(3, start=5)]
    with pytest.raises(ValueError, match=r"'blank' \(number 4 of the source\) has neither"):
        build_index(docs, both(), tmp_path / "error")
    kept = build_index(docs, both(), tmp_path / "keep", BuildOptions(on_empty="keep"))
    assert (kept.documents, kept.skipped_empty) == (7, 0)
    assert kept.counts["bm25"]["without_words"] == 1
    only = [Document("blank", "", "")]
    none = build_index(only, both(), tmp_path / "skip", BuildOptions(on_empty="skip"))
    assert (none.documents, none.skipped_empty) == (0, 1)
    with Index.open(tmp_path / "skip") as index:
        assert (index.documents, index.unfinished) == (0, None)
    with pytest.raises(ValueError, match="the source has no documents"):
        build_index([], both(), tmp_path / "none")
    with pytest.raises(ValueError, match="on_empty is error, skip or keep; got 'drop'"):
        BuildOptions(on_empty="drop")  # type: ignore[arg-type]


def test_empty_documents_at_the_end_do_not_leave_a_build_unfinished(tmp_path: Path) -> None:
    docs = [*documents(30), Document("e", "", ""), Document("f", "", "")]
    options = BuildOptions(segment_documents=30, on_empty="skip")
    report = build_index(docs, both(), tmp_path / "i", options)
    assert (report.documents, report.skipped_empty) == (30, 2)
    with Index.open(tmp_path / "i") as index:
        assert (index.segments, index.unfinished) == (1, None)


def test_channels_that_share_an_encoder_are_encoded_once(tmp_path: Path) -> None:
    encoder = SignEncoder()
    options = BuildOptions(
        channels={
            "first": ChannelOptions("dense", factory="Flat"),
            "second": ChannelOptions("dense", factory="Flat"),
        }
    )
    build_index(documents(20), {"first": encoder, "second": encoder}, tmp_path / "i", options)
    assert encoder.texts == [doc.content for doc in documents(20)]
    with Index.open(tmp_path / "i") as index:
        assert index.channels["second"].recipe == NO_SPEC  # nothing could load it again
    with pytest.raises(ValueError, match="'third' needs ChannelOptions"):
        build_index(documents(20), {"third": encoder}, tmp_path / "j")
    with pytest.raises(ValueError, match="takes a factory and inverted a weighting"):
        ChannelOptions("dense", weighting=Weighting("bm25")).spec("dense", encoder)


def test_an_encoder_without_the_channels_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'bm25' is inverted; the encoder gave no sparse rows"):
        build_index(documents(5), {"bm25": SignEncoder()}, tmp_path / "i")
    with pytest.raises(ValueError, match="'dense' is dense; the encoder gave no dense rows"):
        build_index(documents(5), {"dense": BM25Encoder()}, tmp_path / "j")
    with pytest.raises(ValueError, match="has channels dense, bm25; encoders were given for bm25"):
        build_index(documents(5), both(), tmp_path / "k")
        add_documents(documents(5), {"bm25": BM25Encoder()}, tmp_path / "k")


def test_several_rows_of_a_text_belong_to_its_document(tmp_path: Path) -> None:
    docs = [*documents(40), Document("blank", "", "")]
    options = BuildOptions(segment_documents=30, on_empty="keep")
    report = build_index(docs, {"dense": WordRowsEncoder()}, tmp_path / "i", options)
    words = [len(doc.content.split()) for doc in docs]
    assert report.rows == {"dense": sum(words)}
    expected = [doc.id for doc, n in zip(docs, words, strict=True) for _ in range(n)]
    with Index.open(tmp_path / "i") as index:
        assert list(index.row_ids("dense")) == expected
    with IndexWriter(tmp_path / "i") as writer:
        writer.delete(["d0", "d3", "d39"])
        writer.merge()
        writer.commit()
    with Index.open(tmp_path / "i") as index:
        left = [one for one in expected if one not in {"d0", "d3", "d39"}]
        assert list(index.row_ids("dense")) == left


def test_a_segment_may_be_without_rows(tmp_path: Path) -> None:
    blank = [Document(f"b{at}", "", "") for at in range(5)]
    options = BuildOptions(segment_documents=5, on_empty="keep")
    encoder = WordRowsEncoder()
    build_index([*blank, *documents(7)], {"dense": encoder}, tmp_path / "i", options)
    rows = encoder.encode(["amber"], Role.QUERY)
    with Index.open(tmp_path / "i") as index:
        assert (index.segments, index.documents) == (3, 12)
        hits = index.search("dense", rows, 9)
        assert {index.row_ids("dense")[row] for row in hits.rows[0] if row >= 0} == {
            f"d{at}" for at in range(7)
        }
    with IndexWriter(tmp_path / "i") as writer:
        writer.merge()
        writer.commit()
    with Index.open(tmp_path / "i") as index:
        assert index.search("dense", rows, 9).scores.tolist() == hits.scores.tolist()


class Dropping(SignEncoder):
    """Gives rows for texts that it was not given."""

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        rows = super().encode(texts, role)
        return Representation(rows.dense, None, rows.owner + 1)


def test_rows_of_texts_that_were_not_given_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rows of texts 1 to 5 for 5 texts"):
        build_index(documents(5), {"dense": Dropping()}, tmp_path / "i")


def test_memory_does_not_hold_the_source(tmp_path: Path) -> None:
    """Documents that were read are let go of: at most a window and SQLite's batch are alive."""
    alive: set[int] = set()
    most = 0

    class Counted(str):
        __slots__ = ()

        def __del__(self) -> None:
            alive.discard(id(self))

    def stream(make: Callable[[str], str]) -> Iterator[Document]:
        nonlocal most
        for doc in documents(3000):
            text = make(doc.text)
            alive.add(id(text))
            yield Document(doc.id, doc.title, text)
            most = max(most, len(alive))

    options = BuildOptions(window=64, segment_documents=3000)
    build_index(stream(Counted), both(), tmp_path / "i", options)
    assert most < 1200


def test_a_source_of_nothing_or_of_no_documents_leaves_no_folder(tmp_path: Path) -> None:
    """It once left half an index, which answered nothing without a word."""
    wrong: list[Any] = ["a text is no document"]
    with pytest.raises(TypeError, match="item 1 of the source is of type str; expected"):
        build_index(wrong, both(), tmp_path / "i", SMALL)
    with pytest.raises(ValueError, match="no documents"):
        build_index([], both(), tmp_path / "i", SMALL)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TypeError, match="item 34 of the source is of type str; expected"):
        build_index([*documents(33), *wrong], both(), tmp_path / "i", SMALL)
    build_index(documents(40), both(), tmp_path / "i", SMALL)


def test_an_addition_that_was_complete_leaves_no_cache_when_it_is_given_again(
    tmp_path: Path,
) -> None:
    options = BuildOptions(segment_documents=30, window=7, cache=True)
    build_index(documents(40), both(), tmp_path / "i", options)
    with pytest.raises(ValueError, match="is in the index already"):
        add_documents(documents(5), both(), tmp_path / "i", options)
    assert {path.name for path in (tmp_path / "i").iterdir()} == {
        *("manifest.json", "lock", "segments")
    }
