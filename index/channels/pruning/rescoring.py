"""Exact scores of a few rows of a block: parts of a query's terms, in the order of columns."""

import numpy as np
from numpy.typing import NDArray

from embedder.compiled import compiled
from index.channels.pruning.blocks import BLOCK_BITS, Blocks, Integer, count_bits, weigh
from index.channels.pruning.state import BlockStore, Plan, Room, TermPart

_SEEK = 64  # entries that are read in the time that one is sought


@compiled
def score_rows(
    span: tuple[int, Integer], block: int, terms: int, query: Plan, store: BlockStore, room: Room
) -> None:
    """Write the scores of rows span[0] to span[1] - 1 of the room, less than 2**16 of them."""
    rows, scores = room.rows[span[0] : span[1]], room.scores[span[0] : span[1]]
    scores[:] = 0
    for at in range(len(rows)):
        room.places[rows[at]] = at + 1
    for place in range(terms):
        at = room.present[place]
        number = room.parts[at] - 1
        starts = store.blocks.part_starts[number : number + 2]
        first = np.uint64(block) << np.uint64(BLOCK_BITS)
        part = TermPart(
            query.terms[at], query.factors[at], query.idf[at], first, starts[0], starts[1]
        )
        if store.blocks.frequent[part.term] >= 0:
            count = _look_up(part, rows, store, room)
        elif part.end - part.start < _SEEK * len(rows):
            count = _read(part, store.blocks.low, room)
        else:
            count = _seek(part, rows, store.blocks.low, room)
        _add_found(part, count, store.blocks, room, scores)
    for at in range(len(rows)):
        room.places[rows[at]] = 0


@compiled
def _add_found(
    part: TermPart, count: Integer, blocks: Blocks, room: Room, scores: NDArray[np.float32]
) -> None:
    """Add the entries found of a term to the scores of their rows."""
    for at in range(np.uint64(count)):
        row = room.found[at]
        weight = weigh(blocks, room.entries[at], part.base + np.uint64(row), part.idf)
        scores[room.places[row] - np.uint16(1)] += part.factor * weight


@compiled
def _read(part: TermPart, low: NDArray[np.uint16], room: Room) -> np.int64:
    """List the entries of rows that have a place: no branch to mispredict; return how many."""
    count = np.int64(0)
    for entry in range(np.uint64(part.start), np.uint64(part.end)):
        room.entries[count] = entry
        room.found[count] = low[entry]
        count += room.places[low[entry]] > 0
    return count


@compiled
def _look_up(part: TermPart, rows: NDArray[np.uint16], store: BlockStore, room: Room) -> np.int64:
    """List the entries of rows that hold a term with a bitmap; return how many."""
    number = store.blocks.frequent[part.term]
    begin = store.blocks.part_starts[store.blocks.part_bounds[part.term]]
    count = np.int64(0)
    for at in range(np.uint64(len(rows))):
        room.found[count] = rows[at]
        count += store.bounds.columns[number, part.base + np.uint64(rows[at])] > 0
    for at in range(np.uint64(count)):
        rank = _rank_row(store.blocks, number, part.base + np.uint64(room.found[at]))
        room.entries[at] = np.uint64(begin) + rank
    return count


@compiled
def _rank_row(blocks: Blocks, number: Integer, row: np.uint64) -> np.uint64:
    """Return how many rows before this one a bitmap holds."""
    quad, last = row >> np.uint64(8), row >> np.uint64(6)
    rank = np.uint64(blocks.ranks[number, quad])
    for place in range(4):  # all four words, so that no branch is mispredicted
        word = (quad << np.uint64(2)) + np.uint64(place)
        whole = np.uint64(0) - np.uint64(word < last)
        below = (np.uint64(1) << (row & np.uint64(63))) - np.uint64(1)
        mask = whole | (below & (np.uint64(0) - np.uint64(word == last)))
        rank += count_bits(blocks.bitmaps[number, word] & mask)
    return rank


@compiled
def _seek(
    part: TermPart, rows: NDArray[np.uint16], low: NDArray[np.uint16], room: Room
) -> np.int64:
    """List the entries of rows that hold a term, each sought by halves; return how many."""
    count = np.int64(0)
    for at in range(np.uint64(len(rows))):
        first, size = np.uint64(part.start), np.uint64(part.end - part.start)
        while size > np.uint64(1):  # no branch to mispredict
            half = size >> np.uint64(1)
            first += half * np.uint64(low[first + half] <= rows[at])
            size -= half
        room.entries[count] = first
        room.found[count] = rows[at]
        count += low[first] == rows[at]
    return count
