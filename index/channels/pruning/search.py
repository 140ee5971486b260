"""Search of all blocks: a pool of rows that may be among the best, and their exact scores.

The first bound of the k-th best score is the k-th largest weight of a term (Petri et al., CIKM
2019). Rows that come near are scored anew in the order of columns, so that rows, scores and ties
are those of a search of all entries.
"""

import numpy as np

from embedder.compiled import compiled
from index.channels.pruning.block_search import SEEK, holds, rank_row, search_block, seek_row
from index.channels.pruning.blocks import BLOCK_BITS, Blocks, weigh
from index.channels.pruning.state import (
    SCORE_BINS,
    BestPool,
    BlockStore,
    Plan,
    Room,
    TermPart,
    make_pool,
    make_room,
)
from index.channels.scoring import Best

_ULP = 2.0**-22  # of a float32, four times: what an addition may lose, in both orders
_NEARLY_SCORE_BINS = np.float32(2047.5)
_SEEK_FREQUENT = 4  # entries that are read in the time that a bitmap is asked for one


@compiled
def _collect(block: int, count: int, room: Room, pool: BestPool, k: int) -> int:
    """Move rows of a block into the pool, and raise its floor; stop where the pool is full.

    Returns:
        How many are left, which are the first of the room's.
    """
    first, scale = np.int64(block) << BLOCK_BITS, pool.floor[1]
    while count and pool.numbers[0] < len(pool.rows):
        count -= 1
        row = room.rows[count]
        score = room.scores[row]
        room.scores[row] = 0
        if score < pool.floor[0]:
            continue
        pool.rows[pool.numbers[0]] = first + np.int64(row)
        pool.scores[pool.numbers[0]] = score
        pool.numbers[0] += 1
        if scale == 0:
            continue
        bin_ = min(int(min(score * scale, _NEARLY_SCORE_BINS)), SCORE_BINS - 1)
        pool.bins[bin_] += 1
        pool.numbers[2] += bin_ >= pool.numbers[1]
        while pool.numbers[2] - pool.bins[pool.numbers[1]] >= k:
            pool.numbers[2] -= pool.bins[pool.numbers[1]]
            pool.numbers[1] += 1
            floor = np.float32(pool.numbers[1] / scale) * (np.float32(1) - 2 * pool.floor[2])
            pool.floor[0] = max(pool.floor[0], floor)
    return count


@compiled
def _keep_best(query: Plan, store: BlockStore, room: Room, pool: BestPool, k: int) -> None:
    """Score the rows of the pool as a plain search does, and keep the k best, best first."""
    kept = 0
    for at in range(pool.numbers[0]):
        pool.rows[kept] = pool.rows[at]
        pool.scores[kept] = pool.scores[at]
        kept += pool.scores[at] >= pool.floor[0]
    exact = pool.scores[:kept]
    first = 0
    while first < kept:
        last = first
        while last < kept and pool.rows[last] >> BLOCK_BITS == pool.rows[first] >> BLOCK_BITS:
            last += 1
        if not room.exact[pool.rows[first] >> BLOCK_BITS]:
            exact[first:last] = 0
            _score_group((first, last), query, store.blocks, room, pool)
        first = last
    keys, bits = np.empty(kept, np.int64), exact.view(np.int32)
    for at in range(kept):  # the int32 of a positive float32's bits is ordered as it is
        keys[at] = (np.int64(0x7FFFFFFF - bits[at]) << 32) | pool.rows[at]
    keys = np.sort(keys)
    pool.numbers[0] = min(kept, k)
    for at in range(pool.numbers[0]):
        pool.rows[at] = keys[at] & 0x7FFFFFFF
        bits[at] = 0x7FFFFFFF - (keys[at] >> 32)
    if kept >= k:
        pool.floor[0] = max(pool.floor[0], exact[k - 1] * (np.float32(1) - pool.floor[2]))


@compiled
def _score_group(
    span: tuple[int, int], query: Plan, blocks: Blocks, room: Room, pool: BestPool
) -> None:
    """Score rows span[0] to span[1] - 1 of the pool, which are of one block, term by term."""
    block = pool.rows[span[0]] >> BLOCK_BITS
    first = block << BLOCK_BITS
    for at in range(span[0], span[1]):
        room.slots[pool.rows[at] - first] = at + 1
    for i in range(len(query.terms)):
        term = query.terms[i]
        place = _find_part(blocks, term, block)
        if place < 0:
            continue
        start, end = blocks.part_starts[place], blocks.part_starts[place + 1]
        part = TermPart(term, query.factors[i], query.idf[i], np.uint64(first), start, end)
        worth = SEEK if blocks.frequent[term] < 0 else _SEEK_FREQUENT
        if end - start < worth * (span[1] - span[0]):
            _read_part(part, blocks, room, pool)
        else:
            _seek_rows(part, span, blocks, pool)
    for at in range(span[0], span[1]):
        room.slots[pool.rows[at] - first] = 0


@compiled
def _read_part(part: TermPart, blocks: Blocks, room: Room, pool: BestPool) -> None:
    """Add a term to the scores of the rows that have a slot."""
    for entry in range(np.uint64(part.start), np.uint64(part.end)):
        row = blocks.low[entry]
        slot = room.slots[row]
        if slot:
            weight = weigh(blocks, entry, part.base + np.uint64(row), part.idf)
            pool.scores[slot - 1] += part.factor * weight


@compiled
def _seek_rows(part: TermPart, span: tuple[int, int], blocks: Blocks, pool: BestPool) -> None:
    """Add a term to the scores of the rows of a span that hold it."""
    number = blocks.frequent[part.term]
    begin = blocks.part_starts[blocks.part_bounds[part.term]]
    for at in range(span[0], span[1]):
        row = np.uint64(pool.rows[at])
        if number >= 0:
            held = holds(blocks, number, row)
            entry = begin + rank_row(blocks, number, row) if held else np.int64(-1)
        else:
            entry = seek_row(blocks.low, part, np.int64(row - part.base))
        if entry >= 0:
            pool.scores[at] += part.factor * weigh(blocks, entry, row, part.idf)


@compiled
def _find_part(blocks: Blocks, term: int, block: int) -> np.int64:
    """Return the part of a term in a block, or -1."""
    start, stop = blocks.part_bounds[term], blocks.part_bounds[term + 1]
    place = start + np.searchsorted(blocks.part_blocks[start:stop], block)
    return place if place < stop and blocks.part_blocks[place] == block else np.int64(-1)


@compiled
def _begin(query: Plan, store: BlockStore, room: Room, pool: BestPool, k: int) -> None:
    """Empty the pool, and bound the k-th best score by what is known of the terms."""
    level, total, floor = 0, np.float32(0), np.float32(0)
    while 1 << level < k + store.dead:  # so many of the largest weights hold k of live rows
        level += 1
    for at in range(len(query.terms)):
        term, factor = query.terms[at], query.factors[at]
        room.parts[at] = store.blocks.part_bounds[term]
        total += factor * store.bounds.of_terms[term]
        if level < store.bounds.ranked.shape[1]:
            floor = max(floor, factor * store.bounds.ranked[term, level])
    slack = np.float32((len(query.terms) + 2) * _ULP)
    pool.floor[0] = floor * (np.float32(1) - 2 * slack)
    pool.floor[1] = _NEARLY_SCORE_BINS / total if 0 < total < np.inf else np.float32(0)
    pool.floor[2] = slack
    pool.bins[:] = 0
    pool.numbers[:] = 0


@compiled
def search_range(span: tuple[int, int], plan: Plan, store: BlockStore, best: Best) -> None:
    """Find the best rows of queries span[0] to span[1] - 1; only scores above 0 count.

    Args:
        span: queries to answer.
        plan: all queries.
        store: with bounds of all terms of these queries.
        best: pads; those of the span are written over.
    """
    k, terms = best.rows.shape[1], 1
    for query in range(span[0], span[1]):
        terms = max(terms, plan.bounds[query + 1] - plan.bounds[query])
    room, pool = make_room(store.blocks.rows, terms), make_pool(k)
    for query in range(span[0], span[1]):
        start, end = plan.bounds[query], plan.bounds[query + 1]
        own = Plan(
            plan.bounds[:0], plan.terms[start:end], plan.factors[start:end], plan.idf[start:end]
        )
        _begin(own, store, room, pool, k)
        for block in range(len(room.exact)):
            count = search_block(block, own, store, room, pool)
            count = _collect(block, count, room, pool, k)
            while pool.numbers[0] == len(pool.rows):
                _keep_best(own, store, room, pool, k)
                count = _collect(block, count, room, pool, k)
        _keep_best(own, store, room, pool, k)
        for at in range(pool.numbers[0]):
            best.rows[query, at] = pool.rows[at]
            best.scores[query, at] = pool.scores[at]
