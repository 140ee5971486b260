"""BEIR's .zip files against the folders that are in them."""

import json
import zipfile
from pathlib import Path

import pytest

from eval.data.collections import open_collection
from eval.data.sources import open_sources

CORPUS = [
    {"_id": "d1", "title": "Keys", "text": "Rotate\u2028them."},
    {"_id": "d2", "title": None, "text": ""},
]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, CORPUS)))
    queries = [{"_id": "q1", "text": "how"}, {"_id": "q2", "text": "other split"}]
    (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, queries)))
    (folder / "qrels" / "test.tsv").write_text(QRELS)
    (folder / "qrels" / "train.tsv").write_text(QRELS.replace("q1", "q2"))
    return folder


def test_a_zip_of_beir_is_read_as_its_folder(folder: Path, tmp_path: Path) -> None:
    """As BEIR's downloads are: a folder in a .zip, here with what a Mac adds."""
    for base in ("tiny/", ""):
        with zipfile.ZipFile(tmp_path / "tiny.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.rglob("*.*")):
                archive.write(file, base + file.relative_to(folder).as_posix())
            archive.writestr("__MACOSX/tiny/corpus.jsonl", "copy")
        zipped, plain = open_collection(tmp_path / "tiny.zip"), open_collection(folder)
        assert zipped.name == "tiny"
        assert list(zipped.documents()) == list(plain.documents())
        assert (zipped.queries(), zipped.qrels()) == (plain.queries(), plain.qrels())
        assert open_collection(tmp_path / "tiny.zip", "train").queries() == {"q2": "other split"}
        with pytest.raises(ValueError, match=r"no split 'dev'; there is test, train"):
            open_collection(tmp_path / "tiny.zip", "dev").qrels()
        assert list(open_sources(tmp_path / "tiny.zip")) == list(plain.documents())


def test_zips_that_are_bombs_damaged_or_several_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/corpus.jsonl", (b" " * (1 << 20) + b"\n") * 260)
    with pytest.raises(ValueError, match="it unpacks to more than 100 times its size"):
        list(open_collection(path).documents())
    with pytest.raises(ValueError, match="no split 'test'"):
        open_collection(path).queries()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/corpus.jsonl", json.dumps(CORPUS[0]))
    path.write_bytes(path.read_bytes().replace(b"Rotate", b"rotate"))
    with pytest.raises(ValueError, match=r"a/corpus\.jsonl: Bad CRC-32"):
        list(open_collection(path).documents())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b/corpus.jsonl", "")
    with pytest.raises(ValueError, match="holds 2 collections; unpack it"):
        open_collection(path)
