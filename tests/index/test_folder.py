"""Laws of the index folder: generations, deletion, merging, locks, damage."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder, Role
from index.documents import Document
from index.folder import Index
from index.manifest import Manifest
from index.segment import Segment, open_segments
from index.writer import IndexWriter
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.run import Run, cut, to_run
from tests.synthetic import SignEncoder, documents, queries

BOTH: dict[str, Encoder] = {"dense": SignEncoder(), "bm25": BM25Encoder()}
SMALL = BuildOptions(segment_documents=40)


def build(path: Path, docs: list[Document] | None = None) -> Path:
    build_index(documents(100) if docs is None else docs, BOTH, path, SMALL)
    return path


def results(index: Index, k: int = 10) -> dict[str, Run]:
    asked = queries()
    return {
        name: cut(
            to_run(
                index.search(name, encoder.encode(list(asked.values()), Role.QUERY), k),
                list(asked),
                index.row_ids(name),
            ),
            k,
        )
        for name, encoder in BOTH.items()
    }


def searched(path: Path, k: int = 10) -> dict[str, Run]:
    with Index.open(path) as index:
        return results(index, k)


def test_an_index_gives_back_its_documents(tmp_path: Path) -> None:
    with Index.open(build(tmp_path / "i")) as index:
        assert list(index.stream()) == list(documents(100))
        assert index.document("d57") == list(documents(100))[57]
        assert (index.documents, index.deleted, index.segments) == (100, 0, 3)
        assert index.unfinished is None
        assert index.check() == []
        assert list(index.row_ids("dense")) == [f"d{i}" for i in range(100)]
        assert index.row_ids("bm25")[99] == "d99"
        with pytest.raises(ValueError, match="has no document 'nowhere'"):
            index.document("nowhere")
        with pytest.raises(ValueError, match="has no channel 'sparse'; it has dense, bm25"):
            index.rows("sparse")


def test_segments_do_not_change_results(tmp_path: Path) -> None:
    build(tmp_path / "many")
    build_index(documents(100), BOTH, tmp_path / "one")
    assert searched(tmp_path / "many", 100) == searched(tmp_path / "one", 100)


def test_dense_search_equals_brute_force(tmp_path: Path) -> None:
    encoder = SignEncoder()
    docs = encoder.encode([doc.content for doc in documents(100)], Role.DOCUMENT).dense
    asked = encoder.encode(list(queries().values()), Role.QUERY)
    assert docs is not None and asked.dense is not None
    with Index.open(build(tmp_path / "i")) as index:
        hits = index.search("dense", asked, 7)
    scores = asked.dense @ docs.T
    for found, values, expected in zip(hits.rows, hits.scores, scores, strict=True):
        order = sorted(range(100), key=lambda row: (-expected[row], row))[:7]
        assert found.tolist() == order
        assert values.tolist() == expected[order].tolist()


def test_a_reader_keeps_its_generation_while_a_writer_commits(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with Index.open(path) as old:
        before = results(old)
        with IndexWriter(path) as writer:
            writer.delete([f"d{i}" for i in range(0, 100, 3)])
            writer.commit()
        add_documents(documents(30, start=200), BOTH, path, SMALL)
        with IndexWriter(path) as writer:
            writer.merge()
            writer.commit()
            assert writer.compact() > 0
        assert results(old) == before
        assert old.documents == 100
        assert list(old.stream()) == list(documents(100))
        with Index.open(path) as new:
            assert new.generation > old.generation
            assert new.documents == 100 - 34 + 30
            assert new.segments == 1


@pytest.mark.parametrize("merged", [False, True])
def test_adding_and_deleting_equals_building_from_scratch(tmp_path: Path, merged: bool) -> None:
    path = build(tmp_path / "i")
    with IndexWriter(path) as writer:
        writer.delete([f"d{i}" for i in range(0, 100, 3)])
        writer.commit()
    add_documents(documents(30, start=200), BOTH, path, SMALL)
    with IndexWriter(path) as writer:
        writer.delete(["d1", "d210"])
        if merged:
            writer.merge()
        writer.commit()
    gone = {f"d{i}" for i in range(0, 100, 3)} | {"d1", "d210"}
    left = [doc for doc in [*documents(100), *documents(30, start=200)] if doc.id not in gone]
    build(tmp_path / "scratch", left)
    assert searched(path, 200) == searched(tmp_path / "scratch", 200)  # BM25 statistics included
    with Index.open(path) as index:
        assert list(index.stream()) == left
        assert index.ids() == [document.id for document in left]
        assert index.check() == []
        assert index.deleted == (0 if merged else len(gone))


def test_a_merge_gives_the_bytes_of_one_segment_built_at_once(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
        writer.compact()
    build_index(documents(100), BOTH, tmp_path / "one")
    merged, built = path / "segments/000004", tmp_path / "one/segments/000001"
    names = sorted(file.relative_to(built) for file in built.rglob("*") if file.is_file())
    assert sorted(f.relative_to(merged) for f in merged.rglob("*") if f.is_file()) == names
    for name in names:
        assert (merged / name).read_bytes() == (built / name).read_bytes(), name


def test_a_segment_too_small_to_train_on_is_searched_exactly(tmp_path: Path) -> None:
    """Adding a few documents to an IVF index once failed for want of rows to train on."""
    dense = {"dense": SignEncoder()}
    options = BuildOptions(
        channels={"dense": ChannelOptions("dense", factory="IVF32,Flat")}, segment_documents=40
    )
    path = tmp_path / "i"
    build_index(documents(40), dense, path, options)
    add_documents(documents(5, start=1000), dense, path)
    added = list(documents(5, start=1000))
    with Index.open(path) as index:
        exact = [record.searched_exactly("dense") for record in index.manifest.segments]
        rows = SignEncoder().encode([document.content for document in added], Role.QUERY)
        best = index.search("dense", rows, 1).rows[:, 0].tolist()
        assert exact == [False, True]
        assert [index.row_ids("dense")[row] for row in best] == [one.id for one in added]
    with IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
    with Index.open(path) as index:
        assert [record.searched_exactly("dense") for record in index.manifest.segments] == [False]


def test_deleting_everything_leaves_an_empty_index(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with IndexWriter(path) as writer:
        writer.delete([f"d{i}" for i in range(100)])
        writer.commit()
    empty: Run = {query_id: {} for query_id in queries()}
    assert searched(path) == {"dense": empty, "bm25": empty}
    with IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
    with Index.open(path) as index:
        assert (index.documents, index.segments) == (0, 0)
        assert results(index) == {"dense": empty, "bm25": empty}
    add_documents(documents(5), BOTH, path)
    build_index(documents(5), BOTH, tmp_path / "five")
    assert searched(path) == searched(tmp_path / "five")


def test_deleting_names_the_id_it_does_not_know(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with IndexWriter(path) as writer:
        with pytest.raises(ValueError, match="no document 'x'; nothing was deleted"):
            writer.delete(["d1", "x"])
        with pytest.raises(ValueError, match="'d2' is to be deleted twice"):
            writer.delete(["d2", "d3", "d2"])
        writer.delete(["d1"])
        with pytest.raises(ValueError, match="no document 'd1'"):
            writer.delete(["d1"])
        writer.commit()
    with Index.open(path) as index:
        assert index.deleted == 1
        with pytest.raises(ValueError, match="no document 'd1'"):
            index.document("d1")


CHURN = """
import sys
from index.writer import IndexWriter
from retrieval.build import add_documents
from tests.index.test_folder import BOTH, documents
for number in range(6):
    add_documents(documents(1, start=1000 + number), BOTH, sys.argv[1])
    with IndexWriter(sys.argv[1]) as writer:
        writer.delete([f"d{1000 + number}"])
        writer.merge()
        writer.commit()
        writer.compact()
"""


def test_an_index_can_be_opened_while_it_is_merged_and_compacted(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    before = searched(path)
    generations = set()
    with subprocess.Popen([sys.executable, "-c", CHURN, str(path)]) as churn:
        while churn.poll() is None:
            with Index.open(path) as index:
                generations.add(index.generation)
                assert index.documents in (100, 101)
                assert len(list(index.stream())) == index.documents
    assert churn.returncode == 0
    assert len(generations) > 1
    assert searched(path) == before


def test_a_reader_that_was_overtaken_opens_the_newer_generation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of a generation are removed after its manifest was read, before they are open."""
    path = build(tmp_path / "i")
    before = searched(path)
    tried: list[int] = []

    def overtaken(folder: Path, manifest: Manifest) -> list[Segment]:
        if not tried:
            with IndexWriter(path) as writer:
                writer.merge()
                writer.commit()
                writer.compact()
        tried.append(manifest.generation)
        return open_segments(folder, manifest)

    monkeypatch.setattr("index.folder.open_segments", overtaken)
    with Index.open(path) as index:
        assert tried == [index.generation - 1, index.generation]
        assert results(index) == before


def test_a_deleted_id_may_come_again(tmp_path: Path) -> None:
    path = build(tmp_path / "i")
    with IndexWriter(path) as writer:
        writer.delete(["d7"])
        writer.commit()
    again = Document("d7", "new", "another text")
    add_documents([again], BOTH, path)
    with Index.open(path) as index:
        assert index.document("d7") == again
        assert index.documents == 100
    with IndexWriter(path) as writer:
        writer.delete(["d7"])
        writer.merge()
        writer.commit()
    with Index.open(path) as index:
        assert index.documents == 99


def test_an_index_may_be_moved(tmp_path: Path) -> None:
    before = searched(build(tmp_path / "i"))
    shutil.move(tmp_path / "i", tmp_path / "j # %41 ?")
    assert searched(tmp_path / "j # %41 ?") == before


def test_rows_know_their_passage(tmp_path: Path) -> None:
    with Index.open(build(tmp_path / "i")) as index:
        for number, document in enumerate(documents(100)):
            assert index.passage("dense", number) == (0, len(document.text))


def test_a_query_of_another_width_is_refused(tmp_path: Path) -> None:
    with Index.open(build(tmp_path / "i")) as index:
        rows = BM25Encoder().encode(["amber"], Role.QUERY)
        with pytest.raises(ValueError, match="'dense' needs dense query rows; got none"):
            index.search("dense", rows, 3)
        narrow = SignEncoder().encode(["amber"], Role.QUERY)
        assert narrow.dense is not None
        object.__setattr__(narrow, "dense", np.eye(1, 8, dtype=np.float32))
        with pytest.raises(ValueError, match="holds rows of width 64; queries have 8"):
            index.search("dense", narrow, 3)
        with pytest.raises(ValueError, match="at least 1 document; got k=0"):
            index.search("dense", SignEncoder().encode(["amber"], Role.QUERY), 0)
