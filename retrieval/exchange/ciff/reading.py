"""CIFF files of whatever program, as they are read: postings by term become rows of documents."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.files.lines import open_binary, refuse_special, shorten
from index.documents import Document
from index.live_rows import BLOCK, DocumentBlock
from retrieval.exchange.ciff import protobuf
from retrieval.exchange.ciff.protobuf import MessageReader
from retrieval.exchange.incoming import Incoming
from retrieval.exchange.stored_channels import stored_channels

DESCRIPTION = "lastword: "  # and what the index says of the channel
_UNPACKS = 1032  # bytes at most that a byte of a .gz file becomes
_RECORD = 3  # bytes of the shortest record of a document, its length among them


@dataclass(frozen=True, slots=True)
class CiffHeader:
    """What a file says of itself.

    Attributes:
        lists: number of lists of postings.
        documents: number of records of documents.
        description: in words.
    """

    lists: int
    documents: int
    description: str


@dataclass(frozen=True, slots=True, eq=False)
class TermPostings:
    """One list.

    Attributes:
        term: as text.
        documents: (n,) int64, rising.
        counts: (n,) int64, above 0.
        frequencies: whether the list says itself that it has n postings.
    """

    term: str
    documents: NDArray[np.int64]
    counts: NDArray[np.int64]
    frequencies: bool


def read(incoming: Incoming, source: Path) -> Iterator[DocumentBlock]:
    """Read a file twice: how many terms each document has, then which ones.

    Meanwhile the rows lie in a temporary file, 12 bytes a posting. Without a model, terms are
    words and weights counts, channel bm25.

    Raises:
        ValueError: it is no such file, is cut off, or documents and numbers do not fit.
    """
    incoming.default_sparse = "bm25"
    path = source / "index.ciff" if source.is_dir() else source
    refuse_special(path, pipes=False)
    with open_binary(path) as file:
        reader = MessageReader(file, str(path))
        header = _read_header(reader, path)
        sizes = np.zeros(header.documents, np.int64)
        for each in _lists(reader, header):
            sizes[each.documents] += 1
            incoming.counts["other_frequencies"] += not each.frequencies
        for at in range(header.documents):
            _read_record(reader, at)
        reader.finish()
    if not header.documents:
        return
    if header.description.startswith(DESCRIPTION):
        text = header.description.removeprefix(DESCRIPTION)
        incoming.stored = stored_channels(text, f"{path}: description")
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    with TemporaryDirectory(prefix="lastword-") as folder, open_binary(path) as file:
        reader = MessageReader(file, str(path))
        header = _read_header(reader, path)
        columns, weights = _gather(incoming, reader, header, (Path(folder), bounds))
        for start in range(0, header.documents, BLOCK):
            end = min(start + BLOCK, header.documents)
            records = [_read_record(reader, at) for at in range(start, end)]
            own = slice(bounds[start], bounds[end])
            data = np.array(weights[own], np.float32), np.array(columns[own])
            rows = csr_matrix(
                (*data, bounds[start : end + 1] - bounds[start]),
                shape=(end - start, incoming.terms.width),
            )
            lengths = np.array([length for _, length in records])
            sums = np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel()
            incoming.counts["other_lengths"] += int((lengths != sums).sum())
            documents = [Document(name, "", "") for name, _ in records]
            yield incoming.sparse_block(documents, rows)


def _gather(
    incoming: Incoming,
    reader: MessageReader,
    header: CiffHeader,
    place: tuple[Path, NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Put every posting where its document's row is; return columns and weights, mapped."""
    folder, bounds = place
    shape = max(int(bounds[-1]), 1)
    columns = np.memmap(folder / "columns", np.int64, "w+", shape=shape)
    weights = np.memmap(folder / "weights", np.float32, "w+", shape=shape)
    next_free, seen = bounds[:-1].copy(), set[int]()
    for each in _lists(reader, header):
        (column,) = incoming.terms.of([each.term], str(reader.damage("its list")))
        if column in seen:
            raise reader.damage(f"the term {shorten(each.term)} has a second list")
        seen.add(int(column))
        at = next_free[each.documents]
        if (at >= bounds[each.documents + 1]).any():
            raise reader.damage("the file has changed since it was read first")
        columns[at], weights[at] = column, each.counts
        next_free[each.documents] += 1
    return columns, weights


def _read_header(reader: MessageReader, path: Path) -> CiffHeader:
    found = _fields(reader, reader.next())
    version, lists, documents = (_whole(reader, found, field) for field in (1, 2, 3))
    text = found.get(8, b"")
    if version != 1 or not isinstance(text, bytes):
        raise ValueError(f"{path}: expected a CIFF file of version 1; got version {version}")
    room = path.stat().st_size * (_UNPACKS if path.suffix in (".gz", ".xz") else 1)
    if documents * _RECORD > room:
        raise ValueError(f"{path}: {documents} documents do not fit into so short a file")
    return CiffHeader(lists, documents, text.decode(errors="replace"))


def _lists(reader: MessageReader, header: CiffHeader) -> Iterator[TermPostings]:
    for _ in range(header.lists):
        yield _parse_list(reader, reader.next(), header.documents)


def _parse_list(reader: MessageReader, data: bytes, documents: int) -> TermPostings:
    head: dict[int, protobuf.Field] = {}
    body = len(data)
    try:
        for field, value, start in protobuf.fields(data):
            if field == 4:
                body = start
                break
            head[field] = value
        gaps, counts = protobuf.read_postings(data[body:])
    except ValueError as error:
        raise reader.damage(str(error)) from error
    term = head.get(1, b"")
    rows = np.cumsum(gaps)
    if not isinstance(term, bytes) or not term or not len(rows):
        raise reader.damage("expected a term and its postings")
    if gaps.min(initial=0) < 0 or (gaps[1:] < 1).any() or rows[-1] >= documents:
        raise reader.damage(
            f"documents of {shorten(term)} must rise, and stay below {documents}; the last is "
            f"{rows[-1]}"
        )
    if not 0 < counts.min() <= counts.max() < 2**31:
        raise reader.damage(f"counts of {shorten(term)} must be from 1 to {2**31 - 1}")
    return TermPostings(_text(reader, term), rows, counts, head.get(2) == len(rows))


def _read_record(reader: MessageReader, number: int) -> tuple[str, int]:
    """Read the record of document `number`; return its id and length."""
    found = _fields(reader, reader.next())
    if (at := _whole(reader, found, 1)) != number:
        raise reader.damage(f"expected the record of document {number}; got {at}")
    name = found.get(2, b"")
    if not isinstance(name, bytes) or not name:
        raise reader.damage("a document has no id")
    return _text(reader, name), _whole(reader, found, 3)


def _fields(reader: MessageReader, data: bytes) -> dict[int, protobuf.Field]:
    try:
        return {field: value for field, value, _ in protobuf.fields(data)}
    except ValueError as error:
        raise reader.damage(str(error)) from error


def _whole(reader: MessageReader, found: dict[int, protobuf.Field], field: int) -> int:
    value = found.get(field, 0)
    if not isinstance(value, int) or value >= 2**31:
        raise reader.damage(f"field {field} must be a whole number from 0 to {2**31 - 1}")
    return value


def _text(reader: MessageReader, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise reader.damage(f"expected UTF-8 text; got {shorten(data)}") from error
