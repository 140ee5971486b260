"""Lucene indexes that are damaged, foreign or hostile: one line, and nothing is written."""

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedder.lucene.anserini import index_collection
from embedder.lucene.jvm import INSTALL, java_class
from retrieval.outside.lucene import open_lucene
from retrieval.outside.places import find_lucene_folder
from tests.lucene_indexes import text_objects, write_lucene
from tests.one_line import check_one_line
from tests.synthetic import documents, queries

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")


@pytest.fixture(scope="module")
def lucene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lucene(tmp_path_factory.mktemp("whole"), text_objects(documents(50)))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.blake2b(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_a_search_writes_nothing(lucene: Path) -> None:
    before = contents(lucene)
    channel = open_lucene(str(lucene)).within(["d1", "d2"])
    channel.search(queries(), None, 5)
    channel.close()
    assert contents(lucene) == before


def test_a_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """Lucene makes a folder that it is to read."""
    check_one_line(lambda: open_lucene(f"{tmp_path}/no"), ValueError, "is not there")
    (tmp_path / "empty").mkdir()
    check_one_line(lambda: open_lucene(f"{tmp_path}/empty"), ValueError, "no Lucene index")
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_a_pipe_among_the_files_is_not_waited_for(lucene: Path, tmp_path: Path) -> None:
    """Java opened it, and waited for a writer in a call that Ctrl-C does not reach."""
    copy = tmp_path / "copy"
    shutil.copytree(lucene, copy)
    segments = next(copy.glob("segments_*"))
    segments.unlink()
    os.mkfifo(segments)
    check_one_line(lambda: open_lucene(str(copy)), ValueError, "is no file, and reading it")


def test_a_collection_is_indexed_anew_and_not_through_a_link(lucene: Path, tmp_path: Path) -> None:
    """A damaged index could not be replaced, and Java wrote to where a link leads."""
    before = contents(lucene)
    (tmp_path / "lucene").symlink_to(lucene)
    made = write_lucene(tmp_path, text_objects(documents(3)))
    assert contents(lucene) == before and not made.is_symlink()
    next(made.glob("segments_*")).write_bytes(b"noise")
    index_collection(tmp_path / "collection", made, "JsonCollection")
    assert open_lucene(str(made)).searcher.index.documents == 3


def test_files_that_are_cut_or_gone_or_noise_are_told_in_one_line(
    lucene: Path, tmp_path: Path
) -> None:
    numbers = np.random.default_rng(0)
    for at, name in enumerate(sorted(path.name for path in lucene.iterdir())):
        if name == "write.lock":
            continue
        for kind in ("cut", "gone", "noise"):
            copy = tmp_path / f"{at}-{kind}"
            shutil.copytree(lucene, copy)
            whole = (copy / name).read_bytes()
            if kind == "gone":
                (copy / name).unlink()
            else:
                noise = numbers.bytes(len(whole))
                (copy / name).write_bytes(whole[: len(whole) // 2] if kind == "cut" else noise)
            with pytest.raises((ValueError, OSError)) as caught:
                open_lucene(str(copy))
            assert "\n" not in str(caught.value)
            shutil.rmtree(copy)


def test_flipped_bits_give_a_run_or_one_line(lucene: Path, tmp_path: Path) -> None:
    numbers = np.random.default_rng(1)
    files = [path.name for path in sorted(lucene.iterdir()) if path.stat().st_size]
    told = 0
    for at in range(60):
        copy = tmp_path / str(at)
        shutil.copytree(lucene, copy)
        name = files[at % len(files)]
        data = bytearray((copy / name).read_bytes())
        data[int(numbers.integers(len(data)))] ^= 1 << int(numbers.integers(8))
        (copy / name).write_bytes(data)
        try:
            channel = open_lucene(str(copy))
            channel.search(queries(), None, 20)
            channel.close()
        except (ValueError, OSError) as error:
            assert "\n" not in str(error)
            told += 1
    assert told > 10


def test_an_index_of_another_program_is_named(tmp_path: Path) -> None:
    """Such as Anserini's own indexes of dense vectors, which hold no text."""
    writer = java_class("org.apache.lucene.index.IndexWriter")(
        java_class("org.apache.lucene.store.FSDirectory").open(
            java_class("java.nio.file.Paths").get(str(tmp_path))
        ),
        java_class("org.apache.lucene.index.IndexWriterConfig")(),
    )
    document = java_class("org.apache.lucene.document.Document")()
    store = java_class("org.apache.lucene.document.Field$Store")
    document.add(java_class("org.apache.lucene.document.StringField")("title", "a", store.YES))
    writer.addDocument(document)
    writer.close()
    message = "expected the fields id and contents; it has title"
    check_one_line(lambda: open_lucene(str(tmp_path)), ValueError, message)


def test_prebuilt_indexes_are_found_in_the_cache(
    lucene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder there is called as Anserini's archive, and its digest; its catalogue has both."""
    monkeypatch.setenv("PYSERINI_CACHE", str(tmp_path))
    name = "beir-v1.0.0-scifact.flat"
    check_one_line(lambda: find_lucene_folder(name), ValueError, "from_prebuilt_index")
    stem = "lucene-inverted.beir-v1.0.0-scifact.flat.20221116.505594"
    cached = tmp_path / "indexes" / f"{stem}.59777038fe0539e600658591e322ea57"
    shutil.copytree(lucene, cached)
    assert find_lucene_folder(name) == cached
    own = tmp_path / "indexes" / "lucene-index.mine.cfe14d"
    shutil.copytree(lucene, own)
    assert find_lucene_folder("mine") == own
    shutil.copytree(lucene, tmp_path / "indexes" / "lucene-index.mine.other")
    check_one_line(lambda: find_lucene_folder("mine"), ValueError, "may be any of")
