"""Compiled search of postings: term at a time into one array, then the best k of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled


class PlanArrays(NamedTuple):
    """Queries as parts of terms: entries whose rows are near each other.

    Attributes:
        bounds: (q + 1,) int64: parts of query i are bounds[i] to bounds[i + 1].
        entries: (n, 2) int64: first entry of each part, and the one after its last. Terms of a
            query are in ascending order, so that parts of a score are added in one order.
        bases: (n,) int64: the row that rows of each part are counted from.
        factors: (n,) float32: weight of each part's term in its query.
    """

    bounds: NDArray[np.int64]
    entries: NDArray[np.int64]
    bases: NDArray[np.int64]
    factors: NDArray[np.float32]


class Store(NamedTuple):
    """Entries of all terms.

    Attributes:
        low: (entries,) uint16: each row less the base of its part; the sum is below `rows`.
        weights: (entries,) float32, positive.
        rows: number of rows.
    """

    low: NDArray[np.uint16]
    weights: NDArray[np.float32]
    rows: int


class Best(NamedTuple):
    """What is written: rows (q, k) int64 and scores (q, k) float32."""

    rows: NDArray[np.int64]
    scores: NDArray[np.float32]


_GROUP = 16  # neighbouring scores, a cache line, whose maximum stands for them
_RUN = 8  # groups that are bounded together where there are many for each row wanted
_SHORT = 32  # up to here insertion sort beats radix sort
_WORST = 0x7FFFFFFF  # key of a score of 0
_BINS = 1024
_BIN_BITS = 15  # width of a bin: scores in it differ by 0.4 % at most
_DIGIT_BITS = 11


@compiled
def _add(scores: NDArray[np.float32], plan: PlanArrays, query: int, store: Store) -> None:
    """Add up the parts of a query's terms, term after term."""
    for part in range(plan.bounds[query], plan.bounds[query + 1]):
        factor, near = plan.factors[part], scores[plan.bases[part] :]
        start, end = plan.entries[part]
        for entry in range(np.uint64(start), np.uint64(end)):  # no sign to look at
            near[store.low[entry]] += factor * store.weights[entry]


@compiled
def _bound(keys: NDArray[np.signedinteger], shift: int, k: int) -> int:
    """Return a key that at least k of `keys` >> shift do not exceed, close to the k-th lowest."""
    lowest = int(keys.min()) >> shift
    bins = np.zeros(_BINS, np.int64)
    for key in keys:
        bins[min(((key >> shift) - lowest) >> _BIN_BITS, _BINS - 1)] += 1
    seen = 0
    for at in range(_BINS - 1):
        seen += bins[at]
        if seen >= k:
            return min(lowest + ((at + 1) << _BIN_BITS) - 1, _WORST - 1)
    return _WORST - 1


@compiled
def _reduce(keys: NDArray[np.int32], lowest: NDArray[np.int32]) -> None:
    """Write the lowest of each run of _RUN keys."""
    for run in range(len(lowest)):
        low = keys[run * _RUN]
        for at in range(1, _RUN):
            low = min(low, keys[run * _RUN + at])
        lowest[run] = low


@compiled
def _gather(
    scores: NDArray[np.int32], k: int, keys: NDArray[np.int32], candidates: NDArray[np.int64]
) -> int:
    """Write the key and row of at least the k best scores above 0, by row; return how many.

    The k best groups hold k scores, so only groups as good as the k-th can hold one of the best.
    `keys` is room for the best key of each group, and of each run of groups.
    """
    groups = len(scores) // _GROUP
    best, of_runs = keys[:groups], keys[groups : groups + groups // _RUN]
    for group in range(groups):
        top = np.int32(0)
        for row in range(_GROUP):
            top = max(top, scores[group * _GROUP + row])
        best[group] = _WORST - top
    bound = _WORST - 1
    if len(of_runs) > 2 * k:
        _reduce(best, of_runs)
        bound = _bound(of_runs, 0, k)
    elif groups > k:
        bound = _bound(best, 0, k)
    floor = np.int32(_WORST - bound)
    count = 0
    for group in range(groups):
        if best[group] <= bound:
            for row in range(group * _GROUP, (group + 1) * _GROUP):  # no branch to mispredict
                candidates[count] = ((_WORST - scores[row]) << 32) | row
                count += scores[row] >= floor
    if count <= k:
        return count
    bound = _bound(candidates[:count], 32, k)
    last = 0
    for at in range(count):
        candidates[last] = candidates[at]
        last += (candidates[at] >> 32) <= bound
    return last


@compiled
def sort_candidates(candidates: NDArray[np.int64], spare: NDArray[np.int64], count: int) -> None:
    """Sort by key; rows ascend already, and equal keys keep their order."""
    if count <= _SHORT:
        for i in range(1, count):
            value = candidates[i]
            at = i
            while at > 0 and candidates[at - 1] > value:
                candidates[at] = candidates[at - 1]
                at -= 1
            candidates[at] = value
        return
    lowest, highest = candidates[:count].min() >> 32, candidates[:count].max() >> 32
    digits = (1 << _DIGIT_BITS) - 1
    shift = 0
    while (highest - lowest) >> shift:  # by digits, the last first
        places = np.zeros(digits + 2, np.int64)
        for i in range(count):
            places[((((candidates[i] >> 32) - lowest) >> shift) & digits) + 1] += 1
        for digit in range(digits):
            places[digit + 1] += places[digit]
        for i in range(count):
            digit = (((candidates[i] >> 32) - lowest) >> shift) & digits
            spare[places[digit]] = candidates[i]
            places[digit] += 1
        candidates[:count] = spare[:count]
        shift += _DIGIT_BITS


@compiled
def search_range(
    span: tuple[int, int], plan: PlanArrays, store: Store, live: NDArray[np.bool_], best: Best
) -> None:
    """Find the best rows of queries span[0] to span[1] - 1; only scores above 0 count.

    A positive float32 and the int32 of its bits are ordered alike; integers are compared many at
    a time. A score's key falls as the score grows, so that keys and then rows ascend.

    Args:
        span: queries to answer.
        plan: all queries.
        store: of all entries.
        live: (rows,) False removes a row; empty keeps all.
        best: pads; those of the span are written over.
    """
    groups = (store.rows + _GROUP - 1) // _GROUP
    scores = np.zeros(groups * _GROUP, np.float32)
    bits = scores.view(np.int32)
    keys = np.empty(groups + groups // _RUN, np.int32)
    candidates, spare = np.empty(len(bits) + 1, np.int64), np.empty(len(bits), np.int64)
    for query in range(span[0], span[1]):
        _add(scores, plan, query, store)
        for row in range(len(live)):
            bits[row] *= live[row]
        count = _gather(bits, best.rows.shape[1], keys, candidates) if groups else 0
        sort_candidates(candidates, spare, count)
        for at in range(min(count, best.rows.shape[1])):
            row = candidates[at] & 0xFFFFFFFF
            best.rows[query, at] = row
            best.scores[query, at] = scores[row]
        scores[:] = 0
