"""An interrupted build or addition goes on, and ends with the same bytes."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.types import Encoder
from index.documents import Document
from index.folder import Index
from retrieval.build import add_documents, build_index
from retrieval.options import BuildOptions
from tests.retrieval.test_build import SMALL, both, contents
from tests.synthetic import SignEncoder, documents


class InterruptedBuildError(Exception):
    pass


def until(n: int, items: Iterable[Document]) -> Iterator[Document]:
    for at, item in enumerate(items):
        if at == n:
            raise InterruptedBuildError
        yield item


@pytest.mark.parametrize("stop", [0, 1, 29, 30, 31, 65, 90, 99])
@pytest.mark.parametrize("cache", [False, True])
def test_a_continued_build_ends_with_the_same_bytes(tmp_path: Path, stop: int, cache: bool) -> None:
    options = BuildOptions(segment_documents=30, window=7, cache=cache)
    whole = build_index(documents(100), both(), tmp_path / "whole", options)
    with pytest.raises(InterruptedBuildError):
        build_index(until(stop, documents(100)), both(), tmp_path / "i", options)
    kept = stop >= options.segment_documents or (cache and stop >= options.window)
    assert (tmp_path / "i").exists() == kept  # of a build that encoded nothing nothing is left
    if kept:
        with Index.open(tmp_path / "i") as index:
            assert index.unfinished is not None
            assert index.documents == index.unfinished.consumed == stop // 30 * 30
    report = build_index(documents(100), both(), tmp_path / "i", options)
    assert report.resumed == stop // 30 * 30
    assert (report.documents, report.rows) == (whole.documents, whole.rows)
    assert report.counts == whole.counts or cache
    before, after = contents(tmp_path / "whole"), contents(tmp_path / "i")
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == []


def test_a_continued_addition_ends_with_the_same_bytes(tmp_path: Path) -> None:
    for name, stop in (("whole", 1000), ("i", 75)):
        build_index(documents(40), both(), tmp_path / name, SMALL)
        try:
            add_documents(until(stop, documents(100, start=40)), both(), tmp_path / name, SMALL)
        except InterruptedBuildError:
            with Index.open(tmp_path / name) as index:
                assert index.unfinished is not None and index.unfinished.kind == "add"
                assert index.documents == 40 + 60
    report = add_documents(documents(100, start=40), both(), tmp_path / "i", SMALL)
    assert (report.documents, report.resumed) == (100, 60)
    assert contents(tmp_path / "i") == contents(tmp_path / "whole")


def test_the_cache_saves_encoding_and_goes_away(tmp_path: Path) -> None:
    options = BuildOptions(segment_documents=30, window=7, cache=True)
    with pytest.raises(InterruptedBuildError):
        build_index(until(59, documents(100)), both(), tmp_path / "i", options)
    assert len(list((tmp_path / "i/cache").iterdir())) == 29 // 7
    encoder = SignEncoder()
    build_index(documents(100), {"dense": encoder, "bm25": BM25Encoder()}, tmp_path / "i", options)
    assert len(encoder.texts) == 100 - 30 - 28
    assert not (tmp_path / "i/cache").exists()


def test_a_changed_source_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "i"
    with pytest.raises(InterruptedBuildError):
        build_index(until(70, documents(100)), both(), path, SMALL)
    changed = [*documents(59), Document("d59", "", "something else"), *documents(40, start=60)]
    with pytest.raises(ValueError, match="its first 60 documents are not those"):
        build_index(changed, both(), path, SMALL)
    with pytest.raises(ValueError, match="60 documents were read then, and now it ends after 50"):
        build_index(documents(50), both(), path, SMALL)
    with pytest.raises(ValueError, match=r"other options:\n  window: index has 7, now it is 8"):
        build_index(documents(100), both(), path, BuildOptions(segment_documents=30, window=8))
    other: dict[str, Encoder] = {**both(), "dense": SignEncoder(salt="x")}
    with pytest.raises(ValueError, match="salt: index has '', encoder has 'x'"):
        build_index(documents(100), other, path, SMALL)
    with pytest.raises(ValueError, match="was interrupted after 60 documents; finish"):
        add_documents(documents(10, start=500), both(), path)
    with Index.open(path) as index:
        assert index.documents == 60
    build_index(documents(100), both(), path, SMALL)


def test_starting_over_forgets_the_interrupted_build(tmp_path: Path) -> None:
    path = tmp_path / "i"
    with pytest.raises(InterruptedBuildError):
        build_index(until(70, documents(100)), both(), path, SMALL)
    again = BuildOptions(segment_documents=50, resume=False)
    report = build_index(documents(80, seed=1), both(), path, again)
    assert (report.documents, report.resumed) == (80, 0)
    with Index.open(path) as index:
        assert list(index.stream()) == list(documents(80, seed=1))
    assert sorted(file.name for file in (path / "segments").iterdir()) == ["000003", "000004"]


def test_an_interrupted_addition_can_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "i"
    build_index(documents(10), both(), path, SMALL)
    with pytest.raises(InterruptedBuildError):
        add_documents(until(40, documents(50, start=100)), both(), path, SMALL)
    with pytest.raises(ValueError, match="source has changed"):
        add_documents(documents(60, start=500), both(), path, SMALL)
    forget = BuildOptions(segment_documents=30, window=7, resume=False)
    add_documents(documents(60, start=500), both(), path, forget)
    with Index.open(path) as index:
        assert index.unfinished is None
        assert index.documents == 10 + 30 + 60
