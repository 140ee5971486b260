"""SEARCH, SELECT and CONFIRM: queries that share a relevant document stay together."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Set
from dataclasses import dataclass

import numpy as np

FEW = 80  # queries; fewer cannot confirm anything, and are used in folds
FOLDS = 4
SHARES = (0.5, 0.25, 0.25)


@dataclass(frozen=True, slots=True)
class QuerySplit:
    """Three sets of query ids.

    Attributes:
        search: proposers see their texts, failures and scores.
        select: of finalists, scores only.
        confirm: read once, by one candidate.
    """

    search: tuple[str, ...]
    select: tuple[str, ...]
    confirm: tuple[str, ...]

    def __post_init__(self) -> None:
        ids = [*self.search, *self.select, *self.confirm]
        if len(set(ids)) != len(ids):
            raise ValueError("a query stands in two parts of a split")


def groups(relevant: Mapping[str, Set[Hashable]]) -> list[list[str]]:
    """Put queries together that share a relevant document, directly or through others.

    Args:
        relevant: query id -> its relevant documents.

    Returns:
        Groups in the order of their first queries.
    """
    leader = {query: query for query in relevant}

    def find(query: str) -> str:
        while leader[query] != query:
            leader[query] = query = leader[leader[query]]
        return query

    first: dict[Hashable, str] = {}
    for query, documents in relevant.items():
        for document in documents:
            leader[find(query)] = find(first.setdefault(document, query))
    members: dict[str, list[str]] = defaultdict(list)
    for query in relevant:
        members[find(query)].append(query)
    return list(members.values())


def split(
    relevant: Mapping[str, Set[Hashable]], seed: int, shares: tuple[float, ...] = SHARES
) -> tuple[tuple[str, ...], ...]:
    """Deal groups out, each to the part that is furthest below its share.

    Large groups first, so that parts come out near their shares; equal ones in a random order.

    Returns:
        One tuple of query ids for each share; ids in the order of `relevant`.
    """
    rng = np.random.default_rng(seed)
    whole_groups = groups(relevant)
    order = rng.permutation(len(whole_groups))
    parts: list[set[str]] = [set() for _ in shares]
    for at in sorted(order.tolist(), key=lambda at: -len(whole_groups[at])):
        missing = [
            share * len(relevant) - len(part) for share, part in zip(shares, parts, strict=True)
        ]
        parts[int(np.argmax(missing))].update(whole_groups[at])
    return tuple(tuple(query for query in relevant if query in part) for part in parts)


def three_parts(relevant: Mapping[str, Set[Hashable]], seed: int) -> QuerySplit:
    """Split into SEARCH, SELECT and CONFIRM."""
    return QuerySplit(*split(relevant, seed))


def folds(relevant: Mapping[str, Set[Hashable]], seed: int) -> tuple[tuple[str, ...], ...]:
    """Split into FOLDS even parts; parts that stay empty are left out.

    Raises:
        ValueError: there is one part only, so that none is left to search on.
    """
    parts = tuple(part for part in split(relevant, seed, (1 / FOLDS,) * FOLDS) if part)
    if len(parts) < 2:
        raise ValueError(
            "tuning needs two queries at least that share no relevant document, one to search "
            f"by and one to judge by; got {len(relevant)}, of one part: judge more queries"
        )
    return parts
