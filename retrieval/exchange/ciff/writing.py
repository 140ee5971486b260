"""The Common Index File Format (Lin et al., SIGIR 2020): postings with counts, in one file.

A header, a list of postings for every term, and a record for every document, each a message of
Protocol Buffers. Whole weights take the place of counts where a channel holds weights.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.files.durable import open_new
from index.live_rows import LivePostings
from retrieval.exchange.ciff import protobuf
from retrieval.exchange.ciff.reading import DESCRIPTION
from retrieval.exchange.ciff.reading import read as read
from retrieval.exchange.outgoing import Outgoing, ids_of
from retrieval.exchange.stored_channels import store_channels
from retrieval.exchange.term_names import TermNames

FILE = "index.ciff"
_VERSION = 1


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write the postings of all documents; memory grows with the vocabulary."""
    channel = outgoing.needed("inverted")
    names = outgoing.names(channel)
    with TemporaryDirectory(dir=folder) as parts:
        ids, lists = Path(parts) / "ids", Path(parts) / "lists"
        _gather_ids(outgoing, channel, names, ids)
        with open_new(lists) as file:
            terms, lengths = _write_lists(outgoing, channel, names, file)
        total, rows = int(lengths.sum()), len(lengths)
        header = protobuf.message(
            *((1, _VERSION), (2, terms), (3, rows), (4, terms), (5, rows)),
            *((6, total), (7, total / rows if rows else 0.0)),
            (8, DESCRIPTION + store_channels(outgoing.index, [channel])),
        )
        with open_new(folder / FILE) as file:
            file.write(protobuf.number(len(header)) + header)
            with lists.open("rb") as written:
                shutil.copyfileobj(written, file)
            _write_records(ids, lengths, file)
    outgoing.counts["escaped_terms"] = names.escaped


def _gather_ids(outgoing: Outgoing, channel: str, names: TermNames, path: Path) -> None:
    """Go through the documents once: their terms get names, and their ids go to a file."""
    with open_new(path) as file:
        for block in outgoing.blocks([channel]):
            names.learn_documents(block.documents)
            for name in outgoing.row_ids(ids_of(block.documents), block.rows[channel]):
                data = name.encode()
                file.write(len(data).to_bytes(4, "little") + data)


def _write_lists(
    outgoing: Outgoing, channel: str, names: TermNames, file: BinaryIO
) -> tuple[int, NDArray[np.int64]]:
    """Write a list for every term, by name; return how many, and the lengths of documents."""
    held = LivePostings(outgoing.index, channel)
    if held.rows >= 2**31:
        raise ValueError(f"CIFF holds fewer than 2**31 documents; there are {held.rows} rows")
    lengths = np.zeros(held.rows, np.int64)
    columns = held.terms.tolist()
    written = 0
    for name, column in sorted(
        (name.encode(), column) for name, column in zip(names.of(columns), columns, strict=True)
    ):
        rows, weights = held.entries(column)
        one = csr_matrix((weights, rows, [0, len(rows)]), shape=(1, held.rows))
        whole = outgoing.whole(one, channel)
        documents, counts = whole.indices.astype(np.int64), whole.data.astype(np.int64)
        if not len(documents):
            continue
        lengths[documents] += counts
        head = protobuf.message((1, name.decode()), (2, len(documents)), (3, int(counts.sum())))
        body = protobuf.postings(np.diff(documents, prepend=0), counts)
        file.write(protobuf.number(len(head) + len(body)) + head + body)
        written += 1
    return written, lengths


def _write_records(ids: Path, lengths: NDArray[np.int64], file: BinaryIO) -> None:
    for number, (name, length) in enumerate(zip(_read_ids(ids), lengths.tolist(), strict=True)):
        record = protobuf.message((1, number), (2, name), (3, length))
        file.write(protobuf.number(len(record)) + record)


def _read_ids(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        while size := file.read(4):
            yield file.read(int.from_bytes(size, "little")).decode()
