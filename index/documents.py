"""Documents, and where a segment keeps them: ordinal -> id, title, text in SQLite."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

_VARIABLES = 500  # SQLite builds may allow as few as 999 variables in a statement
_INSERTED = 1000  # documents handed to SQLite at a time; fixed, since it shows in the bytes

# Ids lie apart from the texts, so that naming thousands of hits does not page through the texts.
_TABLES = """
CREATE TABLE ids (ordinal INTEGER PRIMARY KEY, id TEXT NOT NULL);
CREATE TABLE texts (ordinal INTEGER PRIMARY KEY, title TEXT NOT NULL, text TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Document:
    """One unit of a collection; what a search returns.

    Attributes:
        id: not empty; distinct within an index.
        title: "" where there is none.
        text: the body.
    """

    id: str
    title: str
    text: str

    def __post_init__(self) -> None:
        for name, value in (("id", self.id), ("title", self.title), ("text", self.text)):
            if not isinstance(value, str):
                raise TypeError(f"document {self.id!r}: {name} must be a str; got {value!r}")
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"document {self.id!r}: {name} is not legal Unicode ({error}); "
                    "repair or replace the character in the source"
                ) from None
        if not self.id:
            raise ValueError("a document needs an id; got an empty one")

    @property
    def content(self) -> str:
        """The text that is encoded: title and text with a space between."""
        return (self.title + " " + self.text).strip()


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
        with _disk_errors(path):
            self._connection = sqlite3.connect(path, isolation_level=None)
            # No journal: a half-written segment is thrown away, never repaired.
            for pragma in ("page_size=8192", "journal_mode=OFF", "synchronous=OFF"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(_TABLES)
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
        self._next += len(numbered)
        self._waiting = []

    def close(self) -> None:
        """Build the index over ids and write everything; the caller flushes file and folder.

        Raises:
            ValueError: an id was added twice.
        """
        self._insert()
        with _disk_errors(self._path):
            try:
                self._connection.execute("CREATE UNIQUE INDEX by_id ON ids (id)")
            except sqlite3.IntegrityError as error:
                raise ValueError(f"{self._path}: a document id was added twice") from error
            self._connection.execute("COMMIT")
            self._connection.close()

    def abandon(self) -> None:
        """Let go of the file, leaving it unfinished."""
        self._connection.close()


class DocumentStore:
    """Reads one segment's documents; keeps working after the file was unlinked.

    Safe to use from several threads: SQLite serialises them.

    Raises:
        ValueError: the file is not what `DocumentWriter` wrote.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is missing")
        # immutable: no locks and no look at the folder, so an unlinked file can still be read
        uri = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
            # The first statement opens the file, which a merge may unlink from now on.
            found = self._connection.execute(
                "SELECT coalesce(max(ordinal), -1) + 1 FROM ids"
            ).fetchone()
        except sqlite3.Error as error:
            raise ValueError(f"{path} cannot be read as a store of documents: {error}") from error
        self._count = int(found[0])

    def __len__(self) -> int:
        return self._count

    def id(self, ordinal: int) -> str:
        """Return the id of the document with this ordinal."""
        row = self._connection.execute("SELECT id FROM ids WHERE ordinal = ?", (ordinal,))
        return str(row.fetchone()[0])

    def find(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the ordinals of those ids that are here, deleted or not."""
        found: dict[str, int] = {}
        for start in range(0, len(ids), _VARIABLES):
            some = ids[start : start + _VARIABLES]
            marks = ",".join("?" * len(some))
            query = f"SELECT id, ordinal FROM ids WHERE id IN ({marks})"
            found.update(self._connection.execute(query, some))
        return found

    def document(self, ordinal: int) -> Document:
        """Return the document with this ordinal."""
        row = self._connection.execute(
            "SELECT id, title, text FROM ids JOIN texts USING (ordinal) WHERE ordinal = ?",
            (ordinal,),
        )
        return Document(*row.fetchone())

    def stream(self) -> Iterator[tuple[int, Document]]:
        """Yield (ordinal, document) in order, without holding more than a few."""
        rows = self._connection.execute(
            "SELECT ordinal, id, title, text FROM ids JOIN texts USING (ordinal) ORDER BY ordinal"
        )
        for ordinal, *fields in rows:
            yield ordinal, Document(*fields)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says about the disk into an OSError that names the file."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(f"cannot write {path}: {error}") from error
