"""FAISS, kept at arm's length: make, train and fill an index by factory string, and search it."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from index.base import NO_ROW
from index.storage.checksums import CURE

_BLOCK = 1 << 16  # rows that are added at a time, so that memory-mapped vectors stay on disk
_READ = 1 << 20  # bytes read at a time
_TRAINING_ROWS = 1 << 18
_TRAINING_ROWS_PER_LIST = 64
_SEED = 0  # of the rows that are trained on, where there are too many
_K_FACTOR = 8  # candidates for each row wanted, where quantised scores are refined
_SPARE = 16  # rows beyond k, for the caller to choose from
_LEAST_EF = 64  # candidates that a graph search keeps at least
_LEAST_PROBES = 8  # inverted lists that are looked into at least
_PROBED = 4  # rows in these lists for each row wanted, at least, if lists are of one size
_EXACT_REFINE = re.compile(r",(RFlat|Refine\(Flat\))$")


class TooFewRowsError(ValueError):
    """A factory that trains was given fewer rows than it has centres."""


def build(factory: str, vectors: NDArray[np.float32]) -> Any:  # noqa: ANN401
    """Return a FAISS index of all vectors.

    Refining by the vectors themselves (RFlat) is left out: they are at hand, see `search`.

    Args:
        factory: FAISS factory string.
        vectors: (n, dim) float32, may be memory-mapped.

    Raises:
        TooFewRowsError: it needs more rows to train.
        ValueError: the factory string is wrong.
    """
    index = _create_index(factory, vectors.shape[1])
    try:
        if not index.is_trained:
            index.train(_training_sample(index, vectors))
        for start in range(0, len(vectors), _BLOCK):
            index.add(np.ascontiguousarray(vectors[start : start + _BLOCK]))
    except RuntimeError as error:
        needed = re.search(r"number of clusters \((\d+)\)", str(error))
        if needed is None:
            raise ValueError(f"factory {factory!r}: FAISS says {_reason(error)}") from error
        raise TooFewRowsError(
            f"factory {factory!r} needs at least {needed[1]} rows to train on; got {len(vectors)}: "
            "index more at once, or use 'Flat' or 'HNSW32', which need no training"
        ) from error
    return index


def search(
    index: Any,  # noqa: ANN401
    factory: str,
    queries: NDArray[np.float32],
    k: int,
    live: NDArray[np.bool_] | None,
) -> NDArray[np.int64]:
    """Return (q, k or more) candidate rows in no particular order, NO_ROW where there are none.

    Args:
        index: from `build`.
        factory: of it.
        queries: (q, dim) float32.
        k: at least 1.
        live: (n,) False removes a row; None keeps all.
    """
    faiss, count = _faiss(factory), _count(index, factory, k)
    queries = np.ascontiguousarray(queries)
    if live is None:
        rows: NDArray[np.int64] = index.search(
            queries, count, params=_parameters(faiss, index, count, None)
        )[1]
        return rows
    packed = np.packbits(live, bitorder="little")
    selector = faiss.IDSelectorBitmap(packed)
    try:
        rows = index.search(queries, count, params=_parameters(faiss, index, count, selector))[1]
    except RuntimeError:  # this kind cannot leave rows out: ask for as many more
        count = min(count + int((~live).sum()), index.ntotal)
        rows = index.search(queries, count, params=_parameters(faiss, index, count, None))[1]
    return np.where((rows != NO_ROW) & live[rows], rows, NO_ROW)


def effort_of(index: Any, factory: str, k: int) -> tuple[str, int, int]:  # noqa: ANN401
    """Return what a search sets, to what where k rows are wanted, and the most that it can be.

    Args:
        index: from `build`.
        factory: of it.
        k: at least 1.

    Returns:
        "nprobe" or "efSearch" and two numbers; or "", 1 and 1, where there is nothing to set.
    """
    faiss, count = _faiss(factory), _count(index, factory, k)
    parts = _parts(faiss, index)
    count *= _K_FACTOR ** sum(isinstance(part, faiss.IndexRefine) for part in parts)
    inner = parts[-1]
    if isinstance(inner, faiss.IndexIVF):
        return "nprobe", _probes(inner, count), inner.nlist
    if isinstance(inner, faiss.IndexHNSW):
        return "efSearch", _ef(count), inner.ntotal
    return "", 1, 1


def search_with(
    index: Any,  # noqa: ANN401
    factory: str,
    queries: NDArray[np.float32],
    k: int,
    effort: int,
) -> NDArray[np.int64]:
    """Return candidates as `search` does, with nprobe or efSearch as given."""
    count = _count(index, factory, k)
    parameters = _parameters(_faiss(factory), index, count, None, effort)
    rows: NDArray[np.int64] = index.search(queries, count, params=parameters)[1]
    return rows


def bytes_of(index: Any) -> int:  # noqa: ANN401
    """Return the size of an index as a file, which is about what it takes in memory."""
    return len(_faiss("").serialize_index(index))


def write(index: Any, path: Path) -> None:  # noqa: ANN401
    """Write an index to a new file.

    Raises:
        OSError: it cannot be written.
    """
    try:
        _faiss("").write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(f"cannot write {path}: FAISS says {_reason(error)}") from error


def read(file: BinaryIO, path: Path, factory: str) -> Any:  # noqa: ANN401
    """Map an index of an open file into memory, or read it where FAISS or the system cannot.

    What is mapped is read when it is looked at, shared by processes, and given up under pressure.
    FAISS believes what it reads, also later: give it only what was compared with its checksum,
    and what nobody writes to again.

    Args:
        file: at its start.
        path: of it, to be named in errors.
        factory: likewise.

    Raises:
        ValueError: the file is truncated or no FAISS index, or FAISS is not installed.
    """
    faiss = _faiss(factory)
    same_file = Path(f"/proc/self/fd/{file.fileno()}")  # its name may be another's by now
    try:
        if hasattr(faiss, "IO_FLAG_MMAP_IFC") and same_file.exists():
            return faiss.read_index(str(same_file), faiss.IO_FLAG_MMAP_IFC)
        reader = faiss.BufferedIOReader(faiss.PyCallbackIOReader(file.read), _READ)
        return faiss.read_index(reader)
    except (RuntimeError, MemoryError) as error:
        raise ValueError(f"{path} is damaged: {_reason(error)}; {CURE}") from error


def _count(index: Any, factory: str, k: int) -> int:  # noqa: ANN401
    """Return how many candidates are asked for, of which k are wanted."""
    factor = _K_FACTOR if _EXACT_REFINE.search(factory) else 1
    return min(factor * (k + _SPARE), int(index.ntotal))


def _probes(index: Any, count: int) -> int:  # noqa: ANN401
    enough = np.ceil([np.sqrt(index.nlist), _PROBED * count * index.nlist / index.ntotal])
    return min(int(index.nlist), max(_LEAST_PROBES, int(enough.max())))


def _ef(count: int) -> int:
    return max(_LEAST_EF, 2 * count)


def _faiss(factory: str) -> ModuleType:
    try:
        import faiss
    except ImportError as error:
        raise ValueError(
            f"factory {factory!r} needs FAISS: pip install \"lastword[cpu]\"; 'Flat' does not"
        ) from error
    module: ModuleType = faiss
    return module


def _create_index(factory: str, dim: int) -> Any:  # noqa: ANN401
    faiss = _faiss(factory)
    try:
        index = faiss.index_factory(dim, _EXACT_REFINE.sub("", factory), faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise ValueError(
            f"factory {factory!r} makes no index of {dim}-d vectors: {_reason(error)}; "
            "try 'Flat', 'HNSW32' or 'IVF256,PQ48x4fs,RFlat'"
        ) from error
    _silence(faiss, index)
    return index


def _silence(faiss: ModuleType, index: Any) -> None:  # noqa: ANN401
    """Keep FAISS from warning on stderr, in hundreds of lines, of few rows to train on."""
    for part in _parts(faiss, index):
        clusterings = [part.cp] if isinstance(part, faiss.IndexIVF) else []
        if hasattr(part, "pq"):
            clusterings.append(part.pq.cp)
        if isinstance(part, faiss.IndexPreTransform):
            for at in range(part.chain.size()):
                rotation = faiss.downcast_VectorTransform(part.chain.at(at))
                if isinstance(rotation, faiss.OPQMatrix):
                    quantizer = faiss.ProductQuantizer(rotation.d_out, rotation.M, 8)
                    index.referenced_objects = [quantizer]  # FAISS itself only points to it
                    rotation.pq = quantizer
                    clusterings.append(quantizer.cp)
        for clustering in clusterings:
            clustering.min_points_per_centroid = 1


def _reason(error: Exception) -> str:
    """Return what FAISS complains of, without its file names."""
    return re.sub(r"^Error in .*? at \S+:\d+: ", "", str(error).replace("\n", " "))


def _parts(faiss: ModuleType, index: Any) -> list[Any]:  # noqa: ANN401
    """Return an index and those that it wraps, outermost first."""
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        return [index, *_parts(faiss, index.index)]
    if isinstance(index, faiss.IndexRefine):
        return [index, *_parts(faiss, index.base_index)]
    return [index]


def _training_sample(index: Any, vectors: NDArray[np.float32]) -> NDArray[np.float32]:  # noqa: ANN401
    lists = getattr(_parts(_faiss(""), index)[-1], "nlist", 0)
    enough = max(_TRAINING_ROWS, _TRAINING_ROWS_PER_LIST * lists)
    if len(vectors) <= enough:
        return np.ascontiguousarray(vectors)
    chosen = np.random.default_rng(_SEED).choice(len(vectors), enough, replace=False)
    return np.ascontiguousarray(vectors[np.sort(chosen)])


def _parameters(
    faiss: ModuleType,
    index: Any,  # noqa: ANN401
    count: int,
    selector: Any,  # noqa: ANN401
    effort: int = 0,
) -> Any:  # noqa: ANN401
    """Return how hard to search: effort grows with the number of rows wanted, unless given."""
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        inner = _parameters(faiss, index.index, count, selector, effort)
        return faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexRefine):
        inner = _parameters(faiss, index.base_index, count * _K_FACTOR, selector, effort)
        return faiss.IndexRefineSearchParameters(k_factor=_K_FACTOR, base_index_params=inner)
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(nprobe=effort or _probes(index, count), sel=selector)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=effort or _ef(count), sel=selector)
    return None if selector is None else faiss.SearchParameters(sel=selector)
