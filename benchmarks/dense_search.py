"""Measure exact dense search beside FAISS, memory and matrix products, all in the same run.

Rows that are float16 or int8 are compared with float32 ones, and by the best that they find.

python -m benchmarks.dense_search [--rows 400000] [--dim 384] [--repeats 15] [--dry] [--processor]
"""

import argparse
import statistics as stats
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.record import append
from embedder.types import Representation
from index.channels.dense import DenseChannel, build_dense, open_dense
from index.channels.threads import cores, run_together
from index.storage.layout import DenseDtype

Clock = Callable[[], float]

_K = 10
_QUERIES = (1, 200)
_BLOCK = 1 << 14  # rows drawn at a time
_READ = 1 << 12  # rows read at a time
_TOLERANCE = 1e-5  # of scores
_SQUARE = 2048  # side of the matrices that torch multiplies
_TIMED = 5


def main() -> None:
    """Run all comparisons and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    parser.add_argument(
        "--processor",
        action="store_const",
        const=time.process_time,
        default=time.perf_counter,
        dest="clock",
        help="take processor time of all threads: on a machine that others use; appends nothing",
    )
    options = parser.parse_args()
    table = Table(title=f"Exact dense search, {cores()} cores, queries/s, k={_K}")
    for heading in ("search", "queries/s", "baseline", "ratio", "floor", "of floor"):
        table.add_column(heading, justify="left" if heading == "search" else "right")
    with tempfile.TemporaryDirectory() as name:
        for record in compare(Path(name), options):
            if not options.dry and options.clock is time.perf_counter:
                append(record)
            table.add_row(*_cells(record))
    Console().print(table)


def compare(folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield a record of each dtype, for one query, and for many."""
    vectors = draw(np.random.default_rng(0), options.rows, options.dim)
    channels = {}
    for dtype in get_args(DenseDtype):
        (folder / dtype).mkdir()
        build_dense(vectors, "Flat", folder / dtype, dtype)
        channels[dtype] = open_dense(folder / dtype, "Flat", dtype=dtype)
    del vectors
    wide = channels.pop("float32")
    yield from compare_with_faiss(wide, options)
    for dtype, channel in channels.items():
        yield from compare_with_float32(dtype, channel, wide, options)


def compare_with_float32(
    dtype: str, channel: DenseChannel, wide: DenseChannel, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Time narrow rows and wide ones in turns."""
    read = 2.0 if dtype == "float16" else 4 * options.dim / (options.dim + 4)
    for count in _QUERIES:
        queries = draw(np.random.default_rng(1), count, options.dim)
        ours, other = (partial(search, each, queries) for each in (channel, wide))
        found = zip(ours().rows, other().rows, strict=True)
        times = in_turns({"ours": ours, "theirs": other}, options.repeats, options.clock)
        record = rates(times, count, "float32 rows")
        floor = read if count == 1 else 1.0
        yield {
            "name": f"dense {options.rows} x {options.dim} {dtype}, {count} queries, k={_K}",
            **record,
            "recall_at_10": stats.mean(len({*a} & {*b}) / _K for a, b in found),
            "floor_queries_per_second": floor * record["baseline_queries_per_second_median"],
            "floor": "float32 rows, by the bytes of a row" if count == 1 else "float32 rows",
            "queries": count,
            "rows": options.rows,
            "repeats": options.repeats,
        }


def compare_with_faiss(
    channel: DenseChannel, options: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Time ours and IndexFlatIP in turns; yield a record for one query, and for many."""
    import faiss

    random, vectors = np.random.default_rng(1), channel.read(slice(None))
    theirs = faiss.IndexFlatIP(options.dim)
    theirs.add(vectors)
    bandwidth, rate = read_rate(vectors, options.clock), product_rate(options.clock)
    for count in _QUERIES:
        queries = draw(random, count, options.dim)
        ours = partial(search, channel, queries)
        other = partial(theirs.search, queries, _K)
        np.testing.assert_allclose(ours().scores, other()[0], atol=_TOLERANCE)
        times = in_turns({"ours": ours, "theirs": other}, options.repeats, options.clock)
        if count == 1:
            floor, best = "all cores read all rows once", bandwidth / vectors.nbytes
        else:
            floor, best = "torch multiplies square matrices", rate / (2 * vectors.size)
        yield {
            "name": f"dense {options.rows} x {options.dim} float32, {count} queries, k={_K}",
            **rates(times, count, "faiss IndexFlatIP, same rows and threads"),
            "floor_queries_per_second": best,
            "floor": floor,
            "memory_bytes_per_second": bandwidth,
            "product_flops": rate,
            "queries": count,
            "rows": options.rows,
            "repeats": options.repeats,
        }


def search(channel: DenseChannel, queries: NDArray[np.float32]) -> Any:  # noqa: ANN401
    """Return the best rows of queries."""
    return channel.search(Representation(queries, None, np.arange(len(queries))), _K)


def draw(random: np.random.Generator, rows: int, dim: int) -> NDArray[np.float32]:
    """Draw (rows, dim) unit rows."""
    drawn = np.empty((rows, dim), np.float32)
    for start in range(0, rows, _BLOCK):
        part = drawn[start : start + _BLOCK]
        part[...] = random.standard_normal(part.shape, np.float32)
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    return drawn


def in_turns(
    calls: Mapping[str, Callable[[], object]], repeats: int, clock: Clock
) -> dict[str, list[float]]:
    """Time calls in turns, each after one that is not timed; seconds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            call()
            started = clock()
            call()
            times[name].append(clock() - started)
    return times


def rates(times: Mapping[str, list[float]], queries: int, baseline: str) -> dict[str, Any]:
    """Return what is recorded of two programs; the first is ours."""
    mine, other = times.values()
    ratios = [b / a for a, b in zip(mine, other, strict=True)]
    return {
        "queries_per_second_median": queries / stats.median(mine),
        "queries_per_second_min_max": [queries / max(mine), queries / min(mine)],
        "baseline": baseline,
        "baseline_queries_per_second_median": queries / stats.median(other),
        "ratio_median": stats.median(ratios),
        "ratio_min_max": [min(ratios), max(ratios)],
    }


def read_rate(vectors: NDArray[np.float32], clock: Clock) -> float:
    """Measure how many bytes a second all cores read, as a search does: from the mapped file."""

    def read_all() -> None:
        starts = iter(range(0, len(vectors), _READ))

        def read() -> None:
            for start in starts:
                vectors[start : start + _READ].max()

        run_together(read, cores())

    return vectors.nbytes / _fastest(read_all, clock)


def product_rate(clock: Clock) -> float:
    """Measure how many operations a second torch does in a product of matrices, on all cores."""
    import torch

    left, right = torch.randn(_SQUARE, _SQUARE), torch.randn(_SQUARE, _SQUARE)
    return 2 * _SQUARE**3 / _fastest(lambda: left @ right, clock)


def _fastest(call: Callable[[], object], clock: Clock) -> float:
    return min(in_turns({"": call}, _TIMED, clock)[""])


def _cells(record: dict[str, Any]) -> list[str]:
    low, high = record["ratio_min_max"]
    rate, floor = record["queries_per_second_median"], record["floor_queries_per_second"]
    return [
        str(record["name"]).removeprefix("dense "),
        f"{rate:,.1f}",
        f"{record['baseline_queries_per_second_median']:,.1f}",
        f"{record['ratio_median']:.2f} ({low:.2f}-{high:.2f})",
        f"{floor:,.1f}",
        f"{rate / floor:.2f}",
    ]


if __name__ == "__main__":
    main()
