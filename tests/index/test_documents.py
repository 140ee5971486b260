"""The documents of a segment: SQLite, read-only once written, the same bytes every time."""

import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.document_store import DocumentStore, DocumentWriter
from index.documents import Document

LEGAL = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def write(path: Path, documents: list[Document]) -> None:
    writer = DocumentWriter(path)
    writer.add(documents)
    writer.close()


def some(n: int) -> list[Document]:
    return [Document(f"d{i}", f"title {i}", f"text {i} " * (i % 7)) for i in range(n)]


def test_content_is_title_space_text_stripped() -> None:
    assert Document("1", "A title", "and text").content == "A title and text"
    assert Document("1", "", " text ").content == "text"
    assert Document("1", "", "").content == ""


def test_a_document_refuses_what_could_not_be_stored() -> None:
    with pytest.raises(ValueError, match="needs an id"):
        Document("", "title", "text")
    with pytest.raises(ValueError, match=r"document 'x': text is not legal Unicode"):
        Document("x", "", "\ud800")
    with pytest.raises(TypeError, match="title must be a str; got None"):
        Document("x", None, "")  # type: ignore[arg-type]


def test_documents_come_back_by_ordinal_and_by_id(tmp_path: Path) -> None:
    documents = some(2500)  # several batches of inserts and of look-ups
    write(tmp_path / "d.sqlite", documents)
    store = DocumentStore(tmp_path / "d.sqlite")
    assert len(store) == 2500
    assert list(store.stream()) == list(enumerate(documents))
    assert store.document(1234) == documents[1234]
    assert store.ids_of([2499]) == ["d2499"]
    assert store.ids_of([*range(2499, 600, -1), 2000]) == [
        *(f"d{at}" for at in range(2499, 600, -1)),
        "d2000",
    ]
    with pytest.raises(ValueError, match="a value is missing"):
        store.ids_of([1, 2500])
    ids = [f"d{i}" for i in range(0, 3000, 2)]
    assert store.find(ids) == {f"d{i}": i for i in range(0, 2500, 2)}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(LEGAL.filter(bool), LEGAL, LEGAL), unique_by=lambda fields: fields[0]))
def test_any_legal_text_survives(
    tmp_path_factory: pytest.TempPathFactory, fields: list[tuple[str, str, str]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "d.sqlite"
    documents = [Document(*three) for three in fields]
    write(path, documents)
    store = DocumentStore(path)
    assert [document for _, document in store.stream()] == documents
    assert store.find([doc.id for doc in documents]) == {d.id: i for i, d in enumerate(documents)}
    store.close()


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", some(3000))
    writer = DocumentWriter(tmp_path / "b")
    for document in some(3000):
        writer.add([document])
    writer.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    writer = DocumentWriter(tmp_path / "d.sqlite")
    writer.add([Document("a", "", "x"), Document("a", "", "y")])
    with pytest.raises(ValueError, match="added twice"):
        writer.close()


def test_an_unlinked_store_can_still_be_read(tmp_path: Path) -> None:
    write(tmp_path / "d.sqlite", some(5000))
    store = DocumentStore(tmp_path / "d.sqlite")
    (tmp_path / "d.sqlite").unlink()
    assert [document for _, document in store.stream()] == some(5000)


def test_threads_may_share_a_store(tmp_path: Path) -> None:
    write(tmp_path / "d.sqlite", some(500))
    store = DocumentStore(tmp_path / "d.sqlite")
    wrong: list[int] = []

    def read(start: int) -> None:
        wrong.extend(i for i in range(start, 500, 4) if store.document(i).id != f"d{i}")

    threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(ValueError, match="cannot be read as a store of documents"):
        DocumentStore(tmp_path / "d.sqlite")
    with pytest.raises(FileNotFoundError, match=r"none\.sqlite"):
        DocumentStore(tmp_path / "none.sqlite")


FULL = """
import resource, signal, sys
from pathlib import Path
from index.document_store import DocumentWriter
from index.documents import Document
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
writer = DocumentWriter(Path(sys.argv[1]))
try:
    writer.add(Document(str(i), "", "x" * 1000) for i in range(5000))
    writer.close()
except OSError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file sizes")
def test_a_full_disk_is_an_oserror_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    ran = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True)
    assert ran.stderr.startswith(f"cannot write {path}: "), ran.stderr
