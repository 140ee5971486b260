"""Compiled inner products of rows that are float16 or int8, none of which is widened in memory."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from embedder.compiled import compiled

_REORDERED = ("reassoc", "contract")  # or terms would be added one after the other


@intrinsic  # type: ignore[untyped-decorator]
def _from_half(typing: Any, bits: Any) -> Any:  # noqa: ANN401
    """Return the number that 16 bits are: one instruction for many, which numba does not know."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.int16), generate


@intrinsic  # type: ignore[untyped-decorator]
def _add_product(typing: Any, total: Any, left: Any, right: Any) -> Any:  # noqa: ANN401
    """Return total + left * right, in whatever order a sum of these is fastest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        product = builder.fmul(arguments[1], arguments[2], flags=_REORDERED)
        return builder.fadd(arguments[0], product, flags=_REORDERED)

    return types.float32(types.float32, types.float32, types.float32), generate


@compiled
def multiply_halves(
    bits: NDArray[np.int16], queries: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Write inner products of a few queries and rows, (q, dim) and (n, dim), into (q, n).

    Args:
        bits: of float16 numbers.
        queries: float32.
        out: float32.
    """
    for row in range(bits.shape[0]):
        for query in range(queries.shape[0]):
            total = np.float32(0)
            for at in range(bits.shape[1]):
                total = _add_product(total, _from_half(bits[row, at]), queries[query, at])
            out[query, row] = total


@compiled
def widen_halves(bits: NDArray[np.int16], out: NDArray[np.float32]) -> None:
    """Write (n, dim) float16 numbers as float32; NumPy takes ten times as long."""
    for row in range(bits.shape[0]):
        for at in range(bits.shape[1]):
            out[row, at] = _from_half(bits[row, at])


@compiled
def multiply_codes(
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    queries: NDArray[np.int16],
    query_scales: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    """Write inner products of a few queries and rows, (q, dim) and (n, dim), into (q, n).

    Args:
        codes: of rows.
        scales: (n,) what 1 of a row's codes is worth.
        queries: codes, so small that sums of products fit int32.
        query_scales: (q,) what 1 of a query's codes is worth.
        out: float32.
    """
    for row in range(codes.shape[0]):
        for query in range(queries.shape[0]):
            total = np.int32(0)
            for at in range(codes.shape[1]):  # numba would widen sums to int64
                product = np.int32(np.int32(codes[row, at]) * np.int32(queries[query, at]))
                total = np.int32(total + product)
            out[query, row] = np.float32(total) * (scales[row] * query_scales[query])
