"""Bytes a vector that each way to search dense rows takes, by the layout of FAISS."""

from math import sqrt

from retrieval.planning.figures import PlanFigure

_NEIGHBOURS = 32  # of HNSW, on the lowest level twice as many
_EIGHTH = 8


def vector_bytes(dim: int, vectors: int) -> dict[str, tuple[float, str]]:
    """Return, by the name of a factory, bytes a vector in memory and the formula.

    Args:
        dim: width of a vector.
        vectors: how many there are: what is held once is shared by them.
    """
    links = _NEIGHBOURS * 8 + 4 * _NEIGHBOURS / (_NEIGHBOURS - 1) + 12
    hnsw = "8 M + 4 M / (M - 1) + 12, M = 32"
    lists = int(4 * sqrt(vectors)) or 1
    centroids = 4 * dim * lists / max(vectors, 1)
    ivf = f"8 for its number + 4 d lists / N, lists = 4 sqrt(N) = {lists:,}"
    codes, bits = -(-dim // _EIGHTH), -(-dim // _EIGHTH)
    return {
        "Flat": (4.0 * dim, "4 d"),
        "Flat, float16": (2.0 * dim, "2 d, also on disk"),
        "Flat, int8": (dim + 8.0, "d + 8 of scales, which searches read; 5 d + 8 on disk"),
        "SQfp16": (2.0 * dim, "2 d"),
        "SQ8": (1.0 * dim, "d"),
        "HNSW32": (4.0 * dim + links, f"4 d + {hnsw}"),
        "HNSW32,SQ8": (1.0 * dim + links, f"d + {hnsw}"),
        f"IVF{lists},PQ{codes}": (codes + 8 + centroids, f"d / 8 + {ivf}"),
        f"IVF{lists},RaBitQ": (bits + 8 + 8 + centroids, f"d / 8 + 8 of factors + {ivf}"),
        f"IVF{lists},RaBitQ,Refine(SQ8)": (
            bits + 8 + 8 + centroids + dim,
            f"d / 8 + 8 of factors + d to refine + {ivf}",
        ),
    }


def factory_figures(dim: int, vectors: int) -> tuple[PlanFigure, ...]:
    """Return bytes a vector of each factory."""
    costs = vector_bytes(dim, vectors).items()
    return tuple(
        PlanFigure(name, value, "bytes a vector", f"{formula}; d = {dim}")
        for name, (value, formula) in costs
    )
