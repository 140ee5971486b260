"""Search of all blocks: the rows that bounds leave are scored, and the best of them kept.

The first bound of the k-th best score is the k-th largest weight of a term (Petri et al., CIKM
2019). Rows are scored in the order of columns, so that rows, scores and ties are those of a search
of all entries.
"""

from typing import Any

import numpy as np

from embedder.compiled import compiled
from index.channels.pruning.block_search import add_terms, enter_block, list_near, raise_bin
from index.channels.pruning.blocks import BLOCK_BITS, Integer
from index.channels.pruning.bounds import CODES
from index.channels.pruning.rescoring import score_rows
from index.channels.pruning.state import (
    BIN_BITS,
    BestPool,
    BlockStore,
    Plan,
    Room,
    ScoreLimits,
    make_pool,
    make_room,
)
from index.channels.scoring import Best, sort_candidates

MOST_TERMS = 2500  # of a query: what rounding adds for more would not fit into 16 bits
_UNITS = 60_000  # the highest sum of bounds, but for rounding
_MOST_UNITS = 65535.0
_ULP = 2.0**-22  # of a float32, four times: what an addition may lose, in both orders
_LEAST_FLOAT = 2.0**-149
_MOST_FLOAT = 2.0**127
_BATCH = 1 << 15  # rows that are scored at a time
_WORST = 0x7FFFFFFF  # key of a score of 0
_ROWS = 0xFFFFFFFF


@compiled
def _in_units(score: float | np.floating[Any], unit: float) -> np.int64:
    """Return a score in units, rounded down, as far as 16 bits hold it."""
    units = score / unit
    return np.int64(units if units < _MOST_UNITS else _MOST_UNITS)


@compiled
def _collect(
    block: int, span: tuple[int, Integer], room: Room, pool: BestPool, limits: ScoreLimits
) -> None:
    """Put rows of a block, with their scores, into the pool, and raise what is wanted."""
    first = np.int64(block) << BLOCK_BITS
    bits = room.scores.view(np.int32)
    for at in range(span[0], span[1]):
        bin_ = _in_units(room.scores[at], limits.unit) >> BIN_BITS
        if bin_ < pool.numbers[1] or bits[at] <= 0:
            continue
        if pool.numbers[0] == len(pool.keys):
            _keep_best(pool, limits)
        # The int32 of a positive float32's bits is ordered as it is.
        row = first + np.int64(room.rows[at])
        pool.keys[pool.numbers[0]] = (np.int64(_WORST - bits[at]) << 32) | row
        pool.numbers[0] += 1
        if raise_bin(bin_, pool.bins, pool.numbers, limits):
            least = min((pool.numbers[1] << BIN_BITS) - limits.rounding, limits.most)
            pool.numbers[3] = max(pool.numbers[3], least)


@compiled
def _keep_best(pool: BestPool, limits: ScoreLimits) -> None:
    """Keep the k best of a pool that is full, best first."""
    pool.keys.sort()
    pool.numbers[0] = limits.k
    worst = np.int32(_WORST - (pool.keys[limits.k - 1] >> 32)).view(np.float32)
    least = min(_in_units(worst, limits.unit) - limits.rounding, limits.most)
    pool.numbers[3] = max(pool.numbers[3], least)


@compiled
def _write_best(query: int, pool: BestPool, limits: ScoreLimits, best: Best) -> None:
    """Write the best rows of the pool, best first; rows of one score ascend in it already."""
    kept = 0
    for at in range(pool.numbers[0]):
        key = pool.keys[at]
        score = np.int32(_WORST - (key >> 32)).view(np.float32)
        pool.keys[kept] = key
        kept += _in_units(score, limits.unit) >> BIN_BITS >= pool.numbers[1]
    keys = pool.keys[:kept]
    sort_candidates(keys, np.empty(kept, np.int64), kept)
    for at in range(min(kept, limits.k)):
        best.rows[query, at] = keys[at] & _ROWS
        best.scores[query, at] = np.int32(_WORST - (keys[at] >> 32)).view(np.float32)


@compiled
def _begin(query: Plan, store: BlockStore, room: Room, pool: BestPool, k: int) -> ScoreLimits:
    """Empty the pool, and bound the k-th best score by what is known of the terms."""
    level, total, floor = 0, np.float64(0), np.float64(query.floors[0])
    while 1 << level < k + store.dead:  # so many of the largest weights hold k of live rows
        level += 1
    for at in range(len(query.terms)):
        term, factor = query.terms[at], np.float64(query.factors[at])
        room.parts[at] = store.blocks.part_bounds[term]
        total += factor * store.bounds.of_terms[term]
        if level < store.bounds.ranked.shape[1]:
            floor = max(floor, factor * store.bounds.ranked[term, level])
    unit = max(total, 1e-300) / _UNITS
    terms = len(query.terms)
    for at in range(terms):
        top = np.float64(query.factors[at]) * store.bounds.of_terms[query.terms[at]]
        room.steps[at] = np.uint16(np.int64(256 * (top / CODES / unit)) + 1)
    lost = (terms + 2) * (2 * _ULP * _UNITS + min(4 * _LEAST_FLOAT / unit, 1e6))
    rounding = 2 + np.int64(lost)
    excess = rounding + 2 * terms + np.int64(_UNITS / CODES) + 1
    most = _in_units(_MOST_FLOAT, unit) - rounding
    pool.bins[:] = 0
    pool.numbers[:] = 0
    least = _in_units(floor, unit) - rounding
    least = least if least < most else most
    pool.numbers[3] = least if least > 1 else 1
    return ScoreLimits(k, unit, rounding, excess, most if most > 1 else np.int64(1))


@compiled
def search_range(span: tuple[int, int], plan: Plan, store: BlockStore, best: Best) -> None:
    """Find the best rows of queries span[0] to span[1] - 1; only scores above 0 count.

    Args:
        span: queries to answer, of at most MOST_TERMS terms each.
        plan: all queries.
        store: with bounds of all terms of these queries.
        best: pads; those of the span are written over.
    """
    k, terms = best.rows.shape[1], 1
    for query in range(span[0], span[1]):
        terms = max(terms, plan.bounds[query + 1] - plan.bounds[query])
    room, pool = make_room(terms), make_pool(k)
    for query in range(span[0], span[1]):
        start, end = plan.bounds[query], plan.bounds[query + 1]
        own = Plan(
            plan.bounds[:0], plan.terms[start:end], plan.factors[start:end], plan.idf[start:end],
            plan.floors[query : query + 1],
        )  # fmt: skip
        limits = _begin(own, store, room, pool, k)
        for block in range((store.blocks.rows + (1 << BLOCK_BITS) - 1) >> BLOCK_BITS):
            present, top = enter_block(block, own, store, room, limits)
            if top < pool.numbers[3]:
                continue
            add_terms(block, present, own, store, room)
            count = list_near(block, store, room, pool, limits)
            for first in range(0, count, _BATCH):
                last = first + _BATCH if first + _BATCH < count else count
                score_rows((first, last), block, present, own, store, room)
                _collect(block, (first, last), room, pool, limits)
        _write_best(query, pool, limits, best)
