"""Search of one block of rows: scores of those that may be among the best of a query.

Terms that can lift no row to the k-th best score so far, even together, are looked up only for
rows that other terms have brought near it (MaxScore: Turtle and Flood, Information Processing and
Management 1995), by the largest weight of each term in the block (Ding and Suel, SIGIR 2011).
Where that would cost more than adding up all entries, all are.
"""

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK, BLOCK_BITS, Blocks, Integer, count_bits, weigh
from index.channels.pruning.state import GROUP, BestPool, BlockStore, Plan, Room, TermPart

SEEK = 16  # entries that are read in the time that one is sought
_ALL_ROWS = BLOCK // 8  # entries that are added in the time that all rows are looked at
_NEAR = 5  # entries that are added in the time that one is by which its row comes near


@compiled
def holds(blocks: Blocks, number: Integer, row: np.uint64) -> np.int64:
    """Return 1 where a bitmap holds a row, else 0: no branch to mispredict."""
    word = blocks.bitmaps[number, row >> np.uint64(6)]
    return np.int64((word >> (row & np.uint64(63))) & np.uint64(1))


@compiled
def rank_row(blocks: Blocks, number: Integer, row: np.uint64) -> np.int64:
    """Return how many rows before this one a bitmap holds."""
    quad, last = row >> np.uint64(8), row >> np.uint64(6)
    rank = np.uint64(blocks.ranks[number, quad])
    for word in range(quad << np.uint64(2), last):
        rank += count_bits(blocks.bitmaps[number, word])
    below = (np.uint64(1) << (row & np.uint64(63))) - np.uint64(1)
    return np.int64(rank + count_bits(blocks.bitmaps[number, last] & below))


@compiled
def seek_row(low: NDArray[np.uint16], part: TermPart, row: Integer) -> np.int64:
    """Return the entry of a row of the block, or -1."""
    start, end = part.start, part.end
    while start < end:
        middle = (start + end) >> 1
        if low[middle] < row:
            start = middle + 1
        else:
            end = middle
    return start if start < part.end and low[start] == row else np.int64(-1)


@compiled
def _add(part: TermPart, blocks: Blocks, room: Room, count: int) -> int:
    """Add a term to the scores of its rows; return how many rows of the block have a score."""
    for entry in range(np.uint64(part.start), np.uint64(part.end)):
        row = blocks.low[entry]
        before = room.scores[row]
        after = before + part.factor * weigh(blocks, entry, part.base + np.uint64(row), part.idf)
        room.rows[count] = row
        count += (before == 0) & (after > 0)
        room.scores[row] = after
    return count


@compiled
def _add_to_all(part: TermPart, blocks: Blocks, room: Room) -> None:
    """Add a term to the scores of its rows."""
    for entry in range(np.uint64(part.start), np.uint64(part.end)):
        row = blocks.low[entry]
        weight = weigh(blocks, entry, part.base + np.uint64(row), part.idf)
        room.scores[row] += part.factor * weight


@compiled
def _scan(room: Room, rows: int, live: NDArray[np.bool_], pool: BestPool) -> int:
    """List the live rows of a block, of `rows`, that come near the best; empty the others.

    A positive float32 and the int32 of its bits are ordered alike, and integers are compared many
    at a time.
    """
    need = pool.floor[0] * (np.float32(1) - pool.floor[2])
    least = np.float32(need).view(np.int32) if need > 0 else np.int32(1)
    bits, count = room.bits, 0
    for row in range(len(live)):
        bits[row] *= live[row]
    groups = (rows + GROUP - 1) // GROUP
    for group in range(groups):
        top = np.int32(0)
        for at in range(GROUP):
            top = max(top, bits[group * GROUP + at])
        room.highest[group] = top
    for group in range(groups):
        if room.highest[group] >= least:
            for row in range(group * GROUP, (group + 1) * GROUP):
                if bits[row] >= least:
                    room.rows[count] = row
                    room.kept[count] = room.scores[row]
                    count += 1
    room.scores[: groups * GROUP] = 0
    for at in range(count):
        room.scores[room.rows[at]] = room.kept[at]
    return count


@compiled
def _add_to_some(part: TermPart, blocks: Blocks, room: Room, count: int) -> None:
    """Add a term to the scores of the first `count` rows of the room that hold it."""
    if blocks.frequent[part.term] >= 0:
        _add_frequent(part, blocks, room, count)
    elif count * SEEK > part.end - part.start:
        for entry in range(np.uint64(part.start), np.uint64(part.end)):
            low = blocks.low[entry]
            if room.scores[low] > 0:
                row = part.base + np.uint64(low)
                room.scores[low] += part.factor * weigh(blocks, entry, row, part.idf)
    else:
        for at in range(count):
            low = room.rows[at]
            place = seek_row(blocks.low, part, low)
            if place >= 0:
                row = part.base + np.uint64(low)
                room.scores[low] += part.factor * weigh(blocks, place, row, part.idf)


@compiled
def _add_frequent(part: TermPart, blocks: Blocks, room: Room, count: int) -> None:
    """Add a term that has a bitmap to the scores of the rows of the room that hold it."""
    number = blocks.frequent[part.term]
    held = np.int64(0)
    for at in range(count):
        room.found[held] = room.rows[at]
        held += holds(blocks, number, part.base + np.uint64(room.rows[at]))
    start = blocks.part_starts[blocks.part_bounds[part.term]]
    for at in range(held):
        row = part.base + np.uint64(room.found[at])
        entry = start + rank_row(blocks, number, row)
        room.scores[room.found[at]] += part.factor * weigh(blocks, entry, row, part.idf)


@compiled
def _keep_near(room: Room, count: int, rest: np.float32, pool: BestPool) -> int:
    """Drop rows that cannot come near the best with `rest` more; return how many are kept."""
    kept = 0
    up = np.float32(1) + pool.floor[2]
    for at in range(count):
        row = room.rows[at]
        score = room.scores[row]
        near = score * up + rest >= pool.floor[0]
        room.rows[kept] = row
        kept += near
        room.scores[row] = score if near else np.float32(0)
    return kept


@compiled
def _keep_live(room: Room, count: int, live: NDArray[np.bool_]) -> int:
    """Drop rows that are not live, of a block; return how many are kept."""
    if not len(live):
        return count
    kept = 0
    for at in range(count):
        row = room.rows[at]
        room.rows[kept] = row
        kept += live[row]
        room.scores[row] = room.scores[row] if live[row] else np.float32(0)
    return kept


@compiled
def _enter(block: int, query: Plan, store: BlockStore, room: Room) -> int:
    """Order the terms that stand in a block by their bounds there; return how many."""
    count = 0
    for at in range(len(query.terms)):
        part = room.parts[at]
        if part == store.blocks.part_bounds[query.terms[at] + 1]:
            continue
        if store.blocks.part_blocks[part] != block:
            continue
        top = query.factors[at] * store.bounds.largest[part]
        room.parts[at] += 1
        room.tops[at] = top
        if top > 0:
            place = count
            while place > 0 and room.tops[room.order[place - 1]] > top:
                room.order[place] = room.order[place - 1]
                place -= 1
            room.order[place] = at
            room.present[count] = at
            count += 1
    return count


@compiled
def _part_of(block: int, at: int, query: Plan, store: BlockStore, room: Room) -> TermPart:
    """Return the entries of a term in the block that was entered."""
    part = room.parts[at] - 1
    return TermPart(
        query.terms[at],
        query.factors[at],
        query.idf[at],
        np.uint64(block) << np.uint64(BLOCK_BITS),
        store.blocks.part_starts[part],
        store.blocks.part_starts[part + 1],
    )


@compiled
def search_block(block: int, query: Plan, store: BlockStore, room: Room, pool: BestPool) -> int:
    """Score the rows of a block that may be among the best; return how many, in room.rows."""
    terms = _enter(block, query, store, room)
    up = np.float32(1) + pool.floor[2]
    left = 0  # terms that cannot lift a row to the floor, all together
    near, entries = np.int64(0), np.int64(0)  # entries of the others, and of all
    for at in range(terms):
        part = _part_of(block, room.order[at], query, store, room)
        entries += part.end - part.start
        near += part.end - part.start
        room.rest[at + 1] = room.rest[at] + room.tops[room.order[at]] * up
        if room.rest[at + 1] < pool.floor[0]:
            left, near = at + 1, np.int64(0)
    if left == terms:
        return 0
    room.exact[block] = near * _NEAR > entries + _ALL_ROWS
    live = store.live[block << BLOCK_BITS : (block + 1) << BLOCK_BITS]
    count = 0
    if room.exact[block]:
        for at in range(terms):  # in the order of columns
            _add_to_all(_part_of(block, room.present[at], query, store, room), store.blocks, room)
        count = _scan(room, min(BLOCK, store.blocks.rows - (block << BLOCK_BITS)), live, pool)
        left = 0
    else:
        for at in range(terms - 1, left - 1, -1):
            part = _part_of(block, room.order[at], query, store, room)
            count = _add(part, store.blocks, room, count)
        count = _keep_near(room, count, room.rest[left], pool)
        count = _keep_live(room, count, live)
    for at in range(left - 1, -1, -1):
        if count:
            part = _part_of(block, room.order[at], query, store, room)
            _add_to_some(part, store.blocks, room, count)
            count = _keep_near(room, count, room.rest[at], pool)
    return count
