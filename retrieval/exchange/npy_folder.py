"""Plain arrays: vectors.npy, (n, dim) float32, and ids.txt, a line for each row."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from embedder.files.durable import open_new
from index.documents import Document
from index.live_rows import BLOCK, DocumentBlock
from retrieval.exchange.array_files import append_array, map_array
from retrieval.exchange.faiss_folder import read_ids, write_query_vectors
from retrieval.exchange.incoming import Incoming
from retrieval.exchange.outgoing import Outgoing, ids_of
from retrieval.trec_ids import EscapedIds

VECTORS, IDS = "vectors.npy", "ids.txt"


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write the vectors of all documents, and those of queries as query.npy."""
    channel = outgoing.needed("dense")
    width = outgoing.index.channels[channel].dim or 1
    ids = EscapedIds()
    with open_new(folder / VECTORS) as vectors, open_new(folder / IDS) as names:
        with append_array(vectors, np.float32, (width,)) as append:
            for block in outgoing.blocks([channel]):
                dense = block.rows[channel].dense
                assert dense is not None
                append(dense)
                for name in outgoing.row_ids(ids_of(block.documents), block.rows[channel]):
                    names.write(f"{ids[name]}\n".encode())
    if outgoing.options.queries:
        write_query_vectors(outgoing, channel, folder)
    outgoing.counts["escaped_ids"] += ids.escaped


def read(incoming: Incoming, source: Path) -> Iterator[DocumentBlock]:
    """Read such a folder.

    Raises:
        ValueError: the array is no two-dimensional one of floats, or has another number of ids.
    """
    vectors = map_array(source / VECTORS)
    ids = read_ids(source / IDS, len(vectors))
    for at in range(0, len(vectors), BLOCK):
        part = np.asarray(vectors[at : at + BLOCK])
        documents = [Document(next(ids), "", "") for _ in range(len(part))]
        yield incoming.dense_block(documents, part)
