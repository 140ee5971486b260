"""One .npz file of NumPy: ids, owner, dense and sparse rows, as `lastword embed` writes them.

ids (documents,) text; owner (rows,) the document of each row; dense (rows, dim) float32;
sparse_data, sparse_indices, sparse_indptr and sparse_shape, the parts of a CSR matrix; channels,
what the index says of how they were made. Texts do not go along.
"""

import filecmp
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from embedder.files.durable import open_new
from embedder.files.lines import refuse_special
from index.documents import Document
from index.live_rows import BLOCK, DocumentBlock, LivePostings
from retrieval.exchange.array_files import ArrayMember, append_array
from retrieval.exchange.incoming import Incoming, merged
from retrieval.exchange.outgoing import Kind, Outgoing
from retrieval.exchange.stored_channels import store_channels, stored_channels

VECTORS = "vectors.npz"
_IDS = "ids"  # while they are gathered
_KINDS: tuple[Kind, ...] = ("dense", "inverted")


def write(outgoing: Outgoing, folder: Path) -> None:
    """Write the rows of all documents, and those of queries as queries-CHANNEL.npz."""
    channels = [name for kind in _KINDS if (name := outgoing.channel(kind))]
    about = np.array(store_channels(outgoing.index, channels))
    parts = folder / "arrays"
    parts.mkdir()
    with ExitStack() as stack:
        arrays = _Arrays(stack, parts, outgoing, channels)
        for block in outgoing.blocks(channels):
            arrays.add(block)
    _write_ids(parts)
    np.save(parts / "channels.npy", about, allow_pickle=False)
    owner, other = parts / "owner.npy", parts / "sparse_owner.npy"
    if other.is_file() and filecmp.cmp(owner, other, shallow=False):
        other.unlink()  # as `lastword embed` has it: one pass gives both rows of a text
    with open_new(folder / VECTORS) as file, zipfile.ZipFile(file, "w") as archive:
        for path in sorted(parts.glob("*.npy")):  # not `write`, which notes the time
            with path.open("rb") as part, archive.open(path.name, "w", force_zip64=True) as member:
                shutil.copyfileobj(part, member, 1 << 20)
    shutil.rmtree(parts)
    for name in channels if outgoing.options.queries else ():
        ids = np.array(list(outgoing.options.queries))
        outgoing.query_rows(name).save(folder / f"queries-{name}.npz", ids=ids)


class _Arrays:
    """The arrays of a .npz file, each gathered in a file of its own."""

    def __init__(
        self, stack: ExitStack, folder: Path, outgoing: Outgoing, channels: Sequence[str]
    ) -> None:
        specs = outgoing.index.channels
        self._channels = {specs[name].kind: name for name in channels}
        self._documents = self._entries = 0
        self._ids = stack.enter_context(open_new(folder / _IDS))
        widths = {kind: specs[name].dim or 1 for kind, name in self._channels.items()}
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {}
        if "dense" in widths:
            shapes |= {"dense": (np.float32, (widths["dense"],)), "owner": (np.int64, ())}
        if "inverted" in widths:
            self._owner = "sparse_owner" if "owner" in shapes else "owner"
            shapes |= {self._owner: (np.int64, ()), "sparse_data": (np.float32, ())}
            shapes |= {f"sparse_{name}": (np.int64, ()) for name in ("indices", "indptr", "shape")}
        self._append = {
            name: stack.enter_context(
                append_array(stack.enter_context(open_new(folder / f"{name}.npy")), *shape)
            )
            for name, shape in shapes.items()
        }
        if "inverted" in widths:
            self._append["sparse_indptr"](np.zeros(1, np.int64))
            sparse = specs[self._channels["inverted"]].name
            rows = LivePostings(outgoing.index, sparse).rows
            self._append["sparse_shape"](np.array([rows, widths["inverted"]]))

    def add(self, block: DocumentBlock) -> None:
        """Append the rows of the next documents."""
        for document in block.documents:
            if "\0" in document.id:
                raise ValueError(f"NumPy ends texts at a NUL; document {document.id!r} has one")
            self._ids.write(document.id.encode() + b"\0")
        for kind, name in self._channels.items():
            rows = block.rows[name]
            if kind == "dense":
                assert rows.dense is not None
                self._append["dense"](rows.dense)
                self._append["owner"](rows.owner + self._documents)
                continue
            assert rows.sparse is not None
            self._append[self._owner](rows.owner + self._documents)
            self._append["sparse_data"](rows.sparse.data)
            self._append["sparse_indices"](rows.sparse.indices)
            self._append["sparse_indptr"](rows.sparse.indptr[1:].astype(np.int64) + self._entries)
            self._entries += rows.sparse.nnz
        self._documents += len(block.documents)


def _write_ids(folder: Path) -> None:
    """Make an array of the ids, which lie in a file with a NUL behind each."""
    longest = max((len(name) for name in _read_ids(folder)), default=1)
    ids = _read_ids(folder)
    with (
        open_new(folder / "ids.npy") as file,
        append_array(file, np.dtype(f"<U{longest}"), ()) as append,
    ):
        while some := list(islice(ids, BLOCK)):
            append(np.array(some))
    (folder / _IDS).unlink()


def _read_ids(folder: Path) -> Iterator[str]:
    rest = b""
    with (folder / _IDS).open("rb") as file:
        while data := file.read(1 << 20):
            *whole, rest = (rest + data).split(b"\0")
            yield from (name.decode() for name in whole)


def read(incoming: Incoming, source: Path) -> Iterator[DocumentBlock]:
    """Read such a file, also one of `lastword embed`.

    Raises:
        ValueError: an array is missing, cut off, of another type or does not fit the others.
    """
    path = source / VECTORS if source.is_dir() else source
    refuse_special(path, pipes=False)
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: expected a .npz file; {error}") from error
    with archive:
        there = {name.removesuffix(".npy") for name in archive.namelist()}
        if "channels" in there:
            stored = ArrayMember(archive, "channels")
            text = str(stored.take(1).reshape(-1)[0]) if stored.dtype.kind == "U" else ""
            incoming.stored = stored_channels(text, f"{path}: channels")
        yield from _blocks(incoming, archive, there)


def _blocks(
    incoming: Incoming, archive: zipfile.ZipFile, there: set[str]
) -> Iterator[DocumentBlock]:
    ids = ArrayMember(archive, "ids")
    kinds: list[_DenseMember | _SparseMember] = []
    if "dense" in there:
        kinds.append(_DenseMember(archive, len(ids), "owner" if "owner" in there else ""))
    if "sparse_data" in there:
        own = next((name for name in ("sparse_owner", "owner") if name in there), "")
        kinds.append(_SparseMember(archive, len(ids), own))
    if not kinds or ids.dtype.kind != "U" or not len(ids):
        raise ValueError(f"{archive.filename}: expected ids as text, and dense or sparse rows")
    for at in range(0, len(ids), BLOCK):
        names = ids.take(min(BLOCK, len(ids) - at))
        documents = [Document(str(name), "", "") for name in names]
        yield merged([kind.block(incoming, documents) for kind in kinds])


class _Member:
    """Rows of one kind: how many each document has."""

    def __init__(self, archive: zipfile.ZipFile, documents: int, rows: int, owner: str) -> None:
        self._counts = np.ones(documents, np.int64)
        self._next = 0
        if owner:
            member = ArrayMember(archive, owner)
            owners = member.take(len(member))
            rising = owners.ndim == 1 and owners.dtype.kind in "iu" and (np.diff(owners) >= 0).all()
            if not rising or (len(owners) and not 0 <= owners[0] <= owners[-1] < documents):
                raise ValueError(
                    f"{archive.filename}: {owner} must not fall, from 0 to {documents - 1}"
                )
            self._counts = np.bincount(owners, minlength=documents)
        if self._counts.sum() != rows:
            raise ValueError(
                f"{archive.filename}: {rows} rows are there, of {self._counts.sum()} that have "
                f"documents; {documents} have ids"
            )

    def owner(self, documents: int) -> NDArray[np.int64]:
        """Return the owners of the rows of the next documents."""
        counts = self._counts[self._next : self._next + documents]
        self._next += documents
        return np.repeat(np.arange(documents), counts)


class _DenseMember(_Member):
    def __init__(self, archive: zipfile.ZipFile, documents: int, owner: str) -> None:
        self._vectors = ArrayMember(archive, "dense")
        self._vectors.check_vectors()
        super().__init__(archive, documents, len(self._vectors), owner)

    def block(self, incoming: Incoming, documents: Sequence[Document]) -> DocumentBlock:
        owner = self.owner(len(documents))
        return incoming.dense_block(documents, self._vectors.take(len(owner)), owner)


class _SparseMember(_Member):
    def __init__(self, archive: zipfile.ZipFile, documents: int, owner: str) -> None:
        self._data, self._indices, bounds, shape = (
            ArrayMember(archive, f"sparse_{name}")
            for name in ("data", "indices", "indptr", "shape")
        )
        self._bounds = bounds.take(len(bounds))
        sides = shape.take(len(shape)).reshape(-1)
        rows, self._width = map(int, sides) if len(sides) == 2 else (-1, 0)
        whole = all(part.dtype.kind in "iu" for part in (self._indices, bounds, shape))
        fits = (
            whole
            and self._data.dtype.kind == "f"
            and len(self._bounds) == rows + 1
            and self._bounds[0] == 0
            and (np.diff(self._bounds.astype(np.int64)) >= 0).all()
            and self._bounds[-1] == len(self._data) == len(self._indices)
            and 0 < self._width < 2**63
        )
        if not fits:
            raise ValueError(f"{archive.filename}: sparse_* are not the parts of a CSR matrix")
        super().__init__(archive, documents, rows, owner)
        self._row = 0

    def block(self, incoming: Incoming, documents: Sequence[Document]) -> DocumentBlock:
        owner = self.owner(len(documents))
        bounds = self._bounds[self._row : self._row + len(owner) + 1].astype(np.int64)
        self._row += len(owner)
        count = int(bounds[-1] - bounds[0])
        data, columns = self._data.take(count), self._indices.take(count).astype(np.int64)
        if count and not 0 <= columns.min() <= columns.max() < self._width:
            raise ValueError(f"sparse_indices must be from 0 to {self._width - 1}")
        rows = csr_matrix(
            (data.astype(np.float32), columns, bounds - bounds[0]),
            shape=(len(owner), self._width),
        )
        return incoming.sparse_block(documents, rows, owner)
