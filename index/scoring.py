"""Compiled search of postings: term at a time into one array, then the best k of it."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., object])


class Plan(NamedTuple):
    """Queries as entries of postings.

    Attributes:
        bounds: (q + 1,) int64: terms of query i are bounds[i] to bounds[i + 1].
        entries: (n, 2) int64: first entry of each term, and the one after its last. Terms of a
            query are in ascending order, so that parts of a score are added in one order.
        factors: (n,) float32: weight of each term in its query.
    """

    bounds: NDArray[np.int64]
    entries: NDArray[np.int64]
    factors: NDArray[np.float32]


class Store(NamedTuple):
    """Entries of all terms.

    Attributes:
        holders: (entries,) uint32 below `rows`; wrapping a negative index would cost time.
        weights: (entries,) float32, positive.
        rows: number of rows.
    """

    holders: NDArray[np.uint32]
    weights: NDArray[np.float32]
    rows: int


class Best(NamedTuple):
    """What is written: rows (q, k) int64 and scores (q, k) float32."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


class Candidates(NamedTuple):
    """Room for (score bits, row) pairs, twice; as much as is ever gathered and a block more."""

    bits: NDArray[np.int32]
    rows: NDArray[np.int32]
    spare_bits: NDArray[np.int32]
    spare_rows: NDArray[np.int32]


_BLOCK = 64  # scores that are looked at together: four cache lines
_SHORT = 32  # up to here insertion sort beats radix sort


def _compiled(function: Function) -> Function:
    """Compile, and keep machine code between processes where a folder can be written."""
    try:
        compiled: Function = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no writable place for its cache
        compiled = numba.njit(nogil=True)(function)
    return compiled


@_compiled
def _kth_largest(values: NDArray[np.int32], k: int) -> int:
    """Return the k-th largest value, reordering `values`: quickselect, Hoare 1961."""
    low, high, target = 0, len(values) - 1, k - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if target <= right:
            high = right
        elif target >= left:
            low = left
        else:
            break
    return values[target]  # type: ignore[no-any-return]


@_compiled
def _keep_best(
    bits: NDArray[np.int32], rows: NDArray[np.int32], scratch: NDArray[np.int32], count: int, k: int
) -> int:
    """Move the k best of `count` > k candidates to the front, in order; return the k-th score.

    Candidates stand in ascending order of rows, so of equal scores the first ones stay.
    """
    scratch[:count] = bits[:count]
    floor = _kth_largest(scratch[:count], k)
    equal = k
    for i in range(count):
        if bits[i] > floor:
            equal -= 1
    kept = 0
    for i in range(count):
        value = bits[i]
        if value < floor:
            continue
        if value == floor:
            if equal == 0:
                continue
            equal -= 1
        bits[kept] = value
        rows[kept] = rows[i]
        kept += 1
    return floor


@_compiled
def _insertion_sort(bits: NDArray[np.int32], rows: NDArray[np.int32], count: int) -> None:
    """Sort a few candidates by descending score, keeping the order of equal ones."""
    for i in range(1, count):
        value, row = bits[i], rows[i]
        at = i
        while at > 0 and bits[at - 1] < value:
            bits[at] = bits[at - 1]
            rows[at] = rows[at - 1]
            at -= 1
        bits[at] = value
        rows[at] = row


@_compiled
def _radix_sort(candidates: Candidates, count: int) -> None:
    """Sort candidates by descending score, keeping the order of equal ones, byte by byte."""
    bits, rows, spare_bits, spare_rows = candidates
    places = np.zeros((4, 257), np.int32)
    for i in range(count):
        for byte in range(4):
            places[byte, 256 - ((bits[i] >> (8 * byte)) & 255)] += 1
    for byte in range(4):
        shift = 8 * byte
        if places[byte, 256 - ((bits[0] >> shift) & 255)] == count:
            continue  # all share this byte
        for digit in range(256):
            places[byte, digit + 1] += places[byte, digit]
        for i in range(count):
            digit = 255 - ((bits[i] >> shift) & 255)
            at = places[byte, digit]
            places[byte, digit] = at + 1
            spare_bits[at] = bits[i]
            spare_rows[at] = rows[i]
        bits[:count] = spare_bits[:count]
        rows[:count] = spare_rows[:count]


@_compiled
def _add(scores: NDArray[np.float32], plan: Plan, query: int, store: Store) -> None:
    """Add up the parts of a query's terms, term after term."""
    for term in range(plan.bounds[query], plan.bounds[query + 1]):
        factor = plan.factors[term]
        for entry in range(plan.entries[term, 0], plan.entries[term, 1]):
            scores[store.holders[entry]] += factor * store.weights[entry]


@_compiled
def _collect(
    scores: NDArray[np.int32], live: NDArray[np.bool_], k: int, candidates: Candidates
) -> int:
    """Gather the k best candidates, unsorted, and set scores back to 0; return how many.

    A positive float32 and the int32 of the same bits are ordered alike, and integer maxima of a
    block are computed many at a time; so a block without a candidate costs next to nothing.
    """
    bits, rows = candidates.bits, candidates.rows
    count, floor = 0, 0
    for start in range(0, len(scores), _BLOCK):
        top = np.int32(0)
        for row in range(start, start + _BLOCK):
            top = max(top, scores[row])
        if top > floor:
            if count > len(bits) - _BLOCK:
                floor = _keep_best(bits, rows, candidates.spare_bits, count, k)
                count = k
            for row in range(start, start + _BLOCK):
                if scores[row] > floor and (len(live) == 0 or live[row]):
                    bits[count] = scores[row]
                    rows[count] = row
                    count += 1
        if top > 0:
            scores[start : start + _BLOCK] = 0
    if count > k:
        _keep_best(bits, rows, candidates.spare_bits, count, k)
        count = k
    return count


@_compiled
def search_range(
    span: tuple[int, int], plan: Plan, store: Store, live: NDArray[np.bool_], best: Best
) -> None:
    """Find the best rows of queries span[0] to span[1] - 1; only scores above 0 count.

    Args:
        span: queries to answer.
        plan: all queries.
        store: of all entries.
        live: (rows,) False removes a row; empty keeps all.
        best: pads; those of the span are written over.
    """
    k = min(best.rows.shape[1], store.rows)
    blocks = (store.rows + _BLOCK - 1) // _BLOCK
    scores = np.zeros(blocks * _BLOCK, np.float32)
    room = 2 * k + _BLOCK
    candidates = Candidates(
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
    )
    for query in range(span[0], span[1]):
        _add(scores, plan, query, store)
        count = _collect(scores.view(np.int32), live, k, candidates)
        if count <= _SHORT:
            _insertion_sort(candidates.bits, candidates.rows, count)
        else:
            _radix_sort(candidates, count)
        best.rows[query, :count] = candidates.rows[:count]
        best.scores[query, :count] = candidates.bits[:count].view(np.float32)
