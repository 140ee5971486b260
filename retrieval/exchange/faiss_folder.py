"""pyserini's folder of dense vectors: `index`, a flat index of FAISS, and `docid`, a line each.

FAISS itself is not used: it takes a whole index into memory, and trusts what it reads with memory
and process. The format of a flat index is that of faiss/impl/index_write.cpp (Douze et al., "The
Faiss library", 2024): a mark, the facts of an index, and the vectors one after another.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedder.files.durable import open_new
from embedder.files.lines import read_lines, refuse_special
from index.documents import Document
from index.live_rows import BLOCK, DocumentBlock
from retrieval.exchange.incoming import Incoming
from retrieval.exchange.outgoing import Outgoing, ids_of
from retrieval.trec_ids import EscapedIds, unescape_id

INDEX, IDS, QUERIES, QUERY_IDS = "index", "docid", "query.npy", "query.docid"
_FLAT_IP, _FLAT_L2 = b"IxFI", b"IxF2"
_FACTS = struct.Struct("<4siqqqBiQ")  # mark, width, rows, two unused, trained, metric, numbers
_INNER_PRODUCT, _L2 = 0, 1
_UNUSED = 1 << 20


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write the vectors of all documents, and of queries where there are some as query.npy."""
    channel = outgoing.needed("dense")
    ids, rows = EscapedIds(), 0
    width = outgoing.index.channels[channel].dim or 1
    with open_new(folder / INDEX) as vectors, open_new(folder / IDS) as names:
        vectors.write(bytes(_FACTS.size))
        for block in outgoing.blocks([channel]):
            dense = block.rows[channel].dense
            assert dense is not None
            vectors.write(np.ascontiguousarray(dense, "<f4").data)
            rows += len(dense)
            for name in outgoing.row_ids(ids_of(block.documents), block.rows[channel]):
                names.write(f"{ids[name]}\n".encode())
        vectors.seek(0)
        facts = (_FLAT_IP, width, rows, _UNUSED, _UNUSED, 1, _INNER_PRODUCT, rows * width)
        vectors.write(_FACTS.pack(*facts))
    if outgoing.options.queries:
        write_query_vectors(outgoing, channel, folder)
    outgoing.counts["escaped_ids"] += ids.escaped


def write_query_vectors(outgoing: Outgoing, channel: str, folder: Path) -> None:
    """Write the vectors of queries as query.npy, and their ids as query.docid."""
    rows = outgoing.query_rows(channel)
    assert rows.dense is not None
    with open_new(folder / QUERIES) as file:
        np.save(file, rows.dense, allow_pickle=False)
    fields = EscapedIds()
    names = outgoing.query_ids(rows)
    with open_new(folder / QUERY_IDS) as file:
        file.write("".join(f"{fields[name]}\n" for name in names).encode())


def read(incoming: Incoming, source: Path) -> Iterator[DocumentBlock]:
    """Read such a folder; the index must be flat.

    Raises:
        ValueError: it is of another kind, cut off, or has another number of ids.
    """
    vectors = _open_flat(source / INDEX)
    ids = read_ids(source / IDS, len(vectors))
    for at in range(0, len(vectors), BLOCK):
        part = np.asarray(vectors[at : at + BLOCK])
        documents = [Document(next(ids), "", "") for _ in range(len(part))]
        yield incoming.dense_block(documents, part)
    for extra in ids:
        raise AssertionError(f"the number of ids was compared; got {extra}")


def read_ids(path: Path, count: int) -> Iterator[str]:
    """Yield the ids of a file of lines, as many as there are rows.

    Raises:
        ValueError: there are more or fewer.
    """
    lines = sum(1 for _ in read_lines(path))
    if lines != count:
        raise ValueError(f"{path} has {lines} ids, and there are {count} vectors")
    return (unescape_id(line.rstrip()) for _, line in read_lines(path))


def _open_flat(path: Path) -> NDArray[np.float32]:
    """Map the vectors of a flat index of FAISS, (n, dim) float32."""
    refuse_special(path, pipes=False)
    size = path.stat().st_size
    with path.open("rb") as file:
        facts = file.read(_FACTS.size)
    mark = facts[:4]
    if mark not in (_FLAT_IP, _FLAT_L2) or len(facts) < _FACTS.size:
        raise ValueError(
            f"{path}: expected a flat index of FAISS (IndexFlatIP or IndexFlatL2); its mark is "
            f"{mark!r}; other kinds hold vectors that are no longer what they were, or a graph"
        )
    _, width, rows, _, _, trained, metric, numbers = _FACTS.unpack(facts)
    expected = _FACTS.size + 4 * numbers
    if not (0 < width < 1 << 20 and 0 <= rows < 1 << 40 and numbers == rows * width):
        raise ValueError(f"{path}: {rows} vectors of width {width} are not {numbers} numbers")
    if metric != (_INNER_PRODUCT if mark == _FLAT_IP else _L2) or trained != 1:
        raise ValueError(f"{path}: expected an index of FAISS by inner product or L2, trained")
    if size != expected:
        raise ValueError(
            f"{path}: {rows} vectors of width {width} take {expected} bytes; it has {size}"
        )
    if not rows:
        raise ValueError(f"{path} holds no vectors")
    return np.memmap(path, "<f4", "r", _FACTS.size, (rows, width))
