"""Search of one block of rows: those that may be among the best of a query, by bounds.

What a row scores at most is added up in 16 bits from codes of 8 bits, many rows at a time for
frequent terms. The k-th highest of the maxima of groups of rows is a bound of the k-th best score
before any row is collected.
"""

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK, BLOCK_BITS, Integer
from index.channels.pruning.state import (
    BIN_BITS,
    GROUP,
    BestPool,
    BlockStore,
    Plan,
    Room,
    ScoreLimits,
)

RUN = GROUP * GROUP  # rows
_MANY = 64  # groups near the floor by which it is raised before rows are collected


@compiled
def enter_block(
    block: int, query: Plan, store: BlockStore, room: Room, limits: ScoreLimits
) -> tuple[int, np.int64]:
    """List the terms that stand in a block; return how many, and the highest sum they allow."""
    count, top = 0, np.int64(0)
    for at in range(len(query.terms)):
        part = room.parts[at]
        if part == store.blocks.part_bounds[query.terms[at] + 1]:
            continue
        if store.blocks.part_blocks[part] != block:
            continue
        room.parts[at] += 1
        room.present[count] = at
        count += 1
        most = np.float64(query.factors[at]) * store.bounds.largest[part] / limits.unit
        top += np.int64(most) + np.int64(room.steps[at] >> np.uint16(8)) + 4
    return count, top


@compiled
def add_terms(block: int, terms: int, query: Plan, store: BlockStore, room: Room) -> None:
    """Add up what the rows of a block score at most; rows that are not live get nothing."""
    first = block << BLOCK_BITS
    sums = room.sums[: -(-min(BLOCK, store.blocks.rows - first) // RUN) * RUN]
    empty = True
    for place in range(terms):  # frequent ones first: the first overwrites what was there
        at = room.present[place]
        number = store.blocks.frequent[query.terms[at]]
        if number >= 0:
            codes = store.bounds.columns[number, first : first + len(sums)]
            if empty:
                _set_column(codes, room.steps[at], sums)
            else:
                _add_column(codes, room.steps[at], sums)
            empty = False
    if empty:
        sums[:] = 0
    for place in range(terms):
        at = room.present[place]
        if store.blocks.frequent[query.terms[at]] < 0:
            part = room.parts[at] - 1
            start, end = store.blocks.part_starts[part], store.blocks.part_starts[part + 1]
            low, codes = store.blocks.low[start:end], store.bounds.codes[start:end]
            _add_entries(low, codes, room.steps[at], sums)
    live = store.live[first : first + BLOCK]
    for row in range(len(live)):
        sums[row] *= live[row]


@compiled
def _add_entries(
    low: NDArray[np.uint16], codes: NDArray[np.uint8], step: np.uint16, sums: NDArray[np.uint16]
) -> None:
    wide = np.uint32(step)
    for at in range(len(low)):
        sums[low[at]] += np.uint16((np.uint32(codes[at]) * wide + np.uint32(255)) >> np.uint32(8))


@compiled
def _add_column(codes: NDArray[np.uint8], step: np.uint16, sums: NDArray[np.uint16]) -> None:
    """Add the same of all rows, by products of 16 bits: so many more at a time."""
    whole, rest = np.uint16(step >> np.uint16(8)), np.uint16(step & np.uint16(255))
    for row in range(len(sums)):
        code = np.uint16(codes[row])
        part = np.uint16(np.uint16(code * rest + np.uint16(255)) >> np.uint16(8))
        sums[row] = np.uint16(sums[row] + np.uint16(code * whole) + part)


@compiled
def _set_column(codes: NDArray[np.uint8], step: np.uint16, sums: NDArray[np.uint16]) -> None:
    """Write what `_add_column` adds."""
    whole, rest = np.uint16(step >> np.uint16(8)), np.uint16(step & np.uint16(255))
    for row in range(len(sums)):
        code = np.uint16(codes[row])
        sums[row] = np.uint16(code * whole) + np.uint16(
            np.uint16(code * rest + np.uint16(255)) >> np.uint16(8)
        )


@compiled
def _find_highest(sums: NDArray[np.uint16], highest: NDArray[np.uint16]) -> None:
    """Write the highest sum of each group of GROUP neighbours."""
    for group in range(np.uint64(len(highest))):
        top = np.uint16(0)
        for at in range(np.uint64(GROUP)):
            sum_ = sums[group * np.uint64(GROUP) + at]
            top = sum_ if sum_ > top else top
        highest[group] = top


@compiled
def raise_bin(
    bin_: Integer, bins: NDArray[np.int64], numbers: NDArray[np.int64], limits: ScoreLimits
) -> bool:
    """Count a score by its bin; tell whether k that are counted allow for a higher lowest bin."""
    bins[bin_] += 1
    numbers[2] += bin_ >= numbers[1]
    lowest = numbers[1]
    while numbers[2] - bins[numbers[1]] >= limits.k:
        numbers[2] -= bins[numbers[1]]
        numbers[1] += 1
    return bool(numbers[1] > lowest)


@compiled
def _raise_least(
    groups: NDArray[np.uint16], room: Room, pool: BestPool, limits: ScoreLimits
) -> None:
    """Raise the least sum that is wanted by the highest of each of some groups."""
    room.bins[:] = pool.bins
    numbers = pool.numbers.copy()
    for group in groups:
        score = max(np.int64(room.highest[group]) - limits.excess, 0)
        raise_bin(score >> BIN_BITS, room.bins, numbers, limits)
    least = min((numbers[1] << BIN_BITS) - limits.rounding, limits.most)
    pool.numbers[3] = max(pool.numbers[3], least)


@compiled
def _list_groups(runs: int, least: np.uint16, room: Room) -> np.int64:
    """List the groups that hold a sum of at least this; return how many."""
    count = np.int64(0)
    for run in range(np.uint64(runs)):
        if room.tops[run] >= least:
            first = run * np.uint64(GROUP)
            for group in range(first, first + np.uint64(GROUP)):
                room.near[count] = group  # no branch to mispredict
                count += room.highest[group] >= least
    return count


@compiled
def list_near(
    block: int, store: BlockStore, room: Room, pool: BestPool, limits: ScoreLimits
) -> np.int64:
    """List the rows of a block that may be among the best; return how many."""
    runs = -(-min(BLOCK, store.blocks.rows - (block << BLOCK_BITS)) // RUN)
    _find_highest(room.sums, room.highest[: runs * GROUP])
    _find_highest(room.highest, room.tops[:runs])
    near = _list_groups(runs, np.uint16(pool.numbers[3]), room)
    if near > max(_MANY, limits.k // 4):
        _raise_least(room.near[:near], room, pool, limits)
        near = _list_groups(runs, np.uint16(pool.numbers[3]), room)
    least, count = np.uint16(pool.numbers[3]), np.int64(0)
    for at in range(near):
        first = np.uint64(room.near[at]) * np.uint64(GROUP)
        for row in range(first, first + np.uint64(GROUP)):  # no branch to mispredict
            room.rows[count] = row
            count += room.sums[row] >= least
    return count
