"""Where a segment keeps documents: ordinal -> id, title, text and metadata, in SQLite."""

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from embedder.files.config_file import parse_json
from index.documents import Document
from index.storage.checksums import CURE, open_own

_VARIABLES = 500  # SQLite builds may allow as few as 999 variables in a statement
_STREAMED = 100
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair, which is in no document
_INSERTED = 1000  # documents handed to SQLite at a time; fixed, since it shows in the bytes

# Ids lie apart from the texts, so that naming thousands of hits does not page through the texts.
_IDS = "CREATE TABLE ids (ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL)"
_TEXTS = "CREATE TABLE texts (ordinal INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL)"
_METADATA = "CREATE TABLE metadata (ordinal INTEGER PRIMARY KEY, json TEXT NOT NULL)"
_BY_ID = "CREATE UNIQUE INDEX by_id ON ids (id)"
_SCHEMA = [
    ("table", "ids", "ids", _IDS),
    ("table", "texts", "texts", _TEXTS),
    ("index", "by_id", "ids", _BY_ID),
]
# Only where a document has some.
_SCHEMA_WITH_METADATA = [*_SCHEMA[:2], ("table", "metadata", "metadata", _METADATA), _SCHEMA[2]]
_NAMES = "SELECT ordinal, id FROM ids"
_DOCUMENTS = "SELECT ordinal, id, title, text, '' FROM ids JOIN texts USING (ordinal)"
_DOCUMENTS_WITH_METADATA = (
    "SELECT ordinal, id, title, text, json FROM ids JOIN texts USING (ordinal) "
    "LEFT JOIN metadata USING (ordinal)"
)
_NOT_DAMAGE = {  # no memory, locked, cannot be read, cannot be opened, no permission
    *(sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR),
    *(sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH),
}


class DocumentWriter:
    """Writes one segment's documents; the same documents give the same bytes.

    Nothing is durable before `close`, and the file is of no use if that was not reached.

    Raises:
        OSError: the file cannot be written, e.g. because the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next = 0
        self._waiting: list[Document] = []
        self._has_metadata = False
        with _disk_errors(path):
            self._connection = sqlite3.connect(path, isolation_level=None)
            # No journal: a half-written segment is thrown away, never repaired.
            for pragma in ("page_size=8192", "journal_mode=OFF", "synchronous=OFF"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(f"{_IDS};\n{_TEXTS};")
            self._connection.execute("BEGIN")

    def add(self, documents: Iterable[Document]) -> None:
        """Append documents; ids must be new to this file, which `close` proves."""
        for document in documents:
            self._waiting.append(document)
            if len(self._waiting) == _INSERTED:
                self._insert()

    def _insert(self) -> None:
        numbered = list(enumerate(self._waiting, start=self._next))
        with _disk_errors(self._path):
            self._connection.executemany(
                "INSERT INTO ids VALUES (?, ?)", ((at, doc.id) for at, doc in numbered)
            )
            self._connection.executemany(
                "INSERT INTO texts VALUES (?, ?, ?)",
                ((at, doc.title, doc.text) for at, doc in numbered),
            )
            self._insert_metadata([(at, doc.metadata_json) for at, doc in numbered if doc.metadata])
        self._next, self._waiting = self._next + len(numbered), []

    def _insert_metadata(self, rows: Sequence[tuple[int, str]]) -> None:
        if rows and not self._has_metadata:
            self._connection.execute(_METADATA)
            self._has_metadata = True
        if rows:
            self._connection.executemany("INSERT INTO metadata VALUES (?, ?)", rows)

    def close(self) -> None:
        """Build the index over ids and write everything; the caller flushes file and folder.

        Raises:
            ValueError: an id was added twice.
        """
        self._insert()
        with _disk_errors(self._path):
            try:
                self._connection.execute(_BY_ID)
            except sqlite3.IntegrityError as error:
                raise ValueError(f"{self._path}: a document id was added twice") from error
            self._connection.execute("COMMIT")
            self._connection.close()

    def abandon(self) -> None:
        """Let go of the file, leaving it unfinished."""
        self._connection.close()


class DocumentStore:
    """Reads one segment's documents; keeps working after the file was unlinked.

    The file is not trusted: its schema is that of `DocumentWriter` to the letter, so that nothing
    in it runs, and every value is of the type that was written. Safe to use from several threads:
    SQLite serialises them.

    Raises:
        OSError: it cannot be read; FileNotFoundError where there is none.
        ValueError: the file is not what `DocumentWriter` wrote; reading may say so later too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with open_own(path) as file:  # says what is wrong where SQLite cannot open it
            size = os.fstat(file.fileno()).st_size
        # immutable: no locks and no look at the folder, so an unlinked file can still be read
        uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        with self._reading():
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(size, 1 << 20))
            for pragma in ("trusted_schema=OFF", "cell_size_check=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
        try:
            self._count = self._checked_count()
        except BaseException:
            self._connection.close()
            raise

    def __len__(self) -> int:
        return self._count

    def ids_of(self, ordinals: Sequence[int]) -> list[str]:
        """Return the ids of some documents; of many in a tenth of the time that each takes."""
        with self._reading():
            ids = {at: _text(name) for at, name in self._chosen(_NAMES, "ordinal", ordinals)}
            return [ids[at] for at in ordinals]

    def ids(self) -> list[str]:
        """Return the ids of all documents by ordinal, without reading texts."""
        with self._reading():
            rows = self._connection.execute("SELECT id FROM ids ORDER BY ordinal").fetchall()
            names = [_text(name) for (name,) in rows]
        if len(names) != self._count:
            raise self._damage("a document is missing")
        return names

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the ordinals of those ids that are here, deleted or not."""
        legal = [name for name in ids if not _HALF.search(name)]
        with self._reading():
            ordinals = {_text(name): at for at, name in self._chosen(_NAMES, "id", legal)}
        if not all(isinstance(at, int) and 0 <= at < self._count for at in ordinals.values()):
            raise self._damage("documents have no numbers")
        return ordinals

    def document(self, ordinal: int) -> Document:
        """Return the document with this ordinal."""
        return self.documents([ordinal])[0]

    def documents(self, ordinals: Sequence[int]) -> list[Document]:
        """Return the documents with these ordinals, in their order."""
        with self._reading():
            found = self._chosen(self._documents, "ordinal", ordinals)
            documents = {at: _document(*fields) for at, *fields in found}
            return [documents[at] for at in ordinals]

    def _chosen(self, select: str, column: str, values: Sequence[object]) -> Iterator[Any]:
        """Yield what a statement selects where a column has one of some values."""
        for start in range(0, len(values), _VARIABLES):
            some = values[start : start + _VARIABLES]
            where = f"WHERE {column} IN ({','.join('?' * len(some))})"
            yield from self._connection.execute(f"{select} {where}", some).fetchall()

    def stream(self) -> Iterator[tuple[int, Document]]:
        """Yield (ordinal, document) in order, without holding more than a few."""
        with self._reading():
            rows = self._connection.execute(f"{self._documents} ORDER BY ordinal")
        for start in range(0, self._count, _STREAMED):
            expected = range(start, min(start + _STREAMED, self._count))
            with self._reading():
                some = [(at, _document(*fields)) for at, *fields in rows.fetchmany(len(expected))]
            if [at for at, _ in some] != list(expected):
                raise self._damage(f"a document of {expected[0]} to {expected[-1]} is missing")
            yield from some

    def metadata(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Yield ordinal and metadata of the documents that have some, without reading texts."""
        if self._documents == _DOCUMENTS:
            return
        with self._reading():
            rows = self._connection.execute("SELECT ordinal, json FROM metadata ORDER BY ordinal")
        while True:
            with self._reading():
                some = rows.fetchmany(_INSERTED)
                data = _all_metadata([_text(written) for _, written in some])
                if not all(type(at) is int and 0 <= at < self._count for at, _ in some):
                    raise TypeError("metadata of no document")
            if not some:
                return
            yield from zip((at for at, _ in some), data, strict=True)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _checked_count(self) -> int:
        """Compare the schema with the one that is written; return the number of documents."""
        with self._reading():
            schema = self._connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid LIMIT 9"
            ).fetchall()
            if schema not in (_SCHEMA, _SCHEMA_WITH_METADATA):
                raise self._damage("its tables are not those of documents")
            self._documents = _DOCUMENTS if schema == _SCHEMA else _DOCUMENTS_WITH_METADATA
            # The first statement that reads keeps the file, which a merge may then unlink.
            first, last = self._connection.execute(
                "SELECT (SELECT min(ordinal) FROM ids), (SELECT max(ordinal) FROM ids)"
            ).fetchone()
        if (first, last) == (None, None):
            return 0
        if not (first == 0 and isinstance(last, int)):
            raise self._damage("its documents are not numbered from 0 on")
        return last + 1

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn whatever a damaged file does to SQLite or to a value into one error."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise  # it is closed, say
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_DAMAGE:
                raise OSError(f"cannot read {self._path}: {error}") from error
            raise self._damage(str(error)) from error
        except (TypeError, OverflowError, UnicodeError, KeyError) as error:
            raise self._damage("a value is missing or of another type") from error

    def _damage(self, reason: str) -> ValueError:
        return ValueError(f"{self._path} cannot be read as a store of documents: {reason}; {CURE}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text; got {value!r}")
    return value


def _document(name: object, title: object, text: object, metadata: object) -> Document:
    if not name:
        raise TypeError("expected an id; got none")
    return Document(_text(name), _text(title), _text(text), _metadata(metadata))


def _metadata(written: object) -> Mapping[str, Any]:
    """Read the metadata of a document, "" or None where it has none."""
    if not written:
        return {}
    try:
        data = parse_json(_text(written), "metadata")
    except ValueError as error:
        raise TypeError(str(error)) from error
    if not isinstance(data, dict):
        raise TypeError("expected an object as metadata")
    return data


def _all_metadata(written: Sequence[str]) -> list[Mapping[str, Any]]:
    """Read the metadata of several documents in one go: one by one takes half as long again."""
    try:
        data = json.loads(f"[{','.join(written)}]", parse_constant=int)  # refuses NaN
    except (ValueError, RecursionError) as error:
        raise TypeError(str(error)) from error
    if len(data) != len(written) or not all(type(each) is dict for each in data):
        raise TypeError("expected an object as metadata")
    return list(data)


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the disk into an OSError that names the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"cannot write {path}: {error}") from error
