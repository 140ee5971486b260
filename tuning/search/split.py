"""SEARCH, SELECT and CONFIRM, or folds: parts that share nothing by which one tells of another.

Queries are dealt out in units. A test of a gain counts units, since queries of one unit rise and
fall together.
"""

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass

import numpy as np

FEW = 80  # units; fewer are used in folds
SHARES = (0.5, 0.25, 0.25)
FOLD_SHARES = (0.2, 0.2, 0.2, 0.4)  # each is judged after a search on those before it
FOLDS = len(FOLD_SHARES)
ALIKE = 0.5  # share of their relevant documents that makes two queries one unit
POWER = 0.8
CHOOSING = 0.64  # of its units, as many as a test would need that has no finalists to choose from
SPREAD = 0.2  # of differences of nDCG@10 between two prompts on one query, as in real collections

Relevant = Mapping[str, Set[Hashable]]
"""Query id -> its relevant documents."""

NO_TEXTS: Mapping[str, str] = {}


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


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How queries will be used.

    Attributes:
        parts: name -> query ids: search, select, confirm, or folds.
        units: name -> units of that part.
        folded: whether there are too few units for three parts. Folds are judged after searches
            on those before; the first is only searched on.
        detectable: smallest true gain that is accepted with probability POWER, where differences
            of units spread by SPREAD.
    """

    parts: dict[str, tuple[str, ...]]
    units: dict[str, int]
    folded: bool
    detectable: float


def units(relevant: Relevant, texts: Mapping[str, str] = NO_TEXTS) -> list[list[str]]:
    """Put queries together that are nearly one query, directly or through others.

    Two are where their texts are equal but for case, spaces and punctuation, or where at least
    ALIKE of the documents that are relevant to either are relevant to both. A document that two
    queries share beside others is no such link: through single documents all 76 queries of CISI
    hang together.

    Args:
        relevant: query id -> its relevant documents.
        texts: query id -> text; may lack queries.

    Returns:
        Units in the order of their first queries.
    """
    leader = {query: query for query in relevant}

    def find(query: str) -> str:
        while leader[query] != query:
            leader[query] = query = leader[leader[query]]
        return query

    for query, other in _alike(relevant, texts):
        later, earlier = find(query), find(other)
        leader[later] = earlier
    members: dict[str, list[str]] = defaultdict(list)
    for query in relevant:
        members[find(query)].append(query)
    return list(members.values())


def unit_numbers(
    relevant: Relevant, query_ids: Sequence[str], texts: Mapping[str, str] = NO_TEXTS
) -> list[int]:
    """Return for each query the number of its unit; equal numbers are equal units."""
    number = {query: at for at, unit in enumerate(units(relevant, texts)) for query in unit}
    return [number[query] for query in query_ids]


def is_folded(relevant: Relevant, texts: Mapping[str, str] = NO_TEXTS) -> bool:
    """Tell whether there are too few units for three parts, so that folds are used."""
    return len(units(relevant, texts)) < FEW


def split(
    relevant: Relevant,
    seed: int,
    shares: tuple[float, ...] = SHARES,
    texts: Mapping[str, str] = NO_TEXTS,
) -> tuple[tuple[str, ...], ...]:
    """Deal units out, each to the part that has least of its share of units.

    Large units first, so that each part has its share of them; equal ones in a random order.

    Returns:
        One tuple of query ids for each share; ids in the order of `relevant`.
    """
    rng = np.random.default_rng(seed)
    whole = units(relevant, texts)
    order = rng.permutation(len(whole)).tolist()
    parts: list[set[str]] = [set() for _ in shares]
    counts = np.zeros(len(shares))
    for at in sorted(order, key=lambda at: -len(whole[at])):
        part = int(np.argmin((counts + 0.5) / shares))
        counts[part] += 1
        parts[part].update(whole[at])
    return tuple(tuple(query for query in relevant if query in part) for part in parts)


def three_parts(relevant: Relevant, seed: int, texts: Mapping[str, str] = NO_TEXTS) -> QuerySplit:
    """Split into SEARCH, SELECT and CONFIRM.

    Raises:
        ValueError: a part would be empty.
    """
    parts = QuerySplit(*split(relevant, seed, texts=texts))
    if not (parts.search and parts.select and parts.confirm):
        _refuse(relevant, texts, len(SHARES))
    return parts


def folds(
    relevant: Relevant, seed: int, texts: Mapping[str, str] = NO_TEXTS
) -> tuple[tuple[str, ...], ...]:
    """Split into folds, the last of which judges one prompt.

    Raises:
        ValueError: a part would be empty.
    """
    parts = split(relevant, seed, FOLD_SHARES, texts)
    if not all(parts):
        _refuse(relevant, texts, FOLDS)
    return parts


def check_decidable(relevant: Relevant, alpha: float, texts: Mapping[str, str] = NO_TEXTS) -> None:
    """Refuse queries among which no gain, however large, can be told from chance.

    If all of n differences are above 0, chance does as much with probability 2**-n.

    Raises:
        ValueError: there are too few units.
    """
    needed = max(FOLDS, math.ceil(math.log2(1 / alpha) / (1 - FOLD_SHARES[0])))
    if len(units(relevant, texts)) < needed:
        _refuse(relevant, texts, needed)


def detectable_gain(
    judged: int, alpha: float = 0.05, sd: float = SPREAD, power: float = POWER
) -> float:
    """Return the smallest true gain that a one-sided test accepts with a given probability.

    Of Student's paired test, (t(1 - alpha) + t(power)) sd / sqrt(units): what a split can tell at
    all, whatever the search finds.

    Args:
        judged: units that the test is made on, at least 2.
        alpha: of the test.
        sd: standard deviation of the differences of a unit.
        power: probability to accept such a gain.
    """
    from scipy.special import stdtrit

    if judged < 2:
        return math.inf
    reach = stdtrit(judged - 1, 1 - alpha) + stdtrit(judged - 1, power)
    return float(reach * sd / math.sqrt(judged))


def plan_split(
    relevant: Relevant, seed: int, alpha: float = 0.05, texts: Mapping[str, str] = NO_TEXTS
) -> SplitPlan:
    """Split as a search will, and tell what the split can detect.

    Raises:
        ValueError: there are too few queries that differ.
    """
    check_decidable(relevant, alpha, texts)
    folded = is_folded(relevant, texts)
    parts = (
        {f"fold {number}": part for number, part in enumerate(folds(relevant, seed, texts), 1)}
        if folded
        else asdict(three_parts(relevant, seed, texts))
    )
    counts = {name: len(set(unit_numbers(relevant, part, texts))) for name, part in parts.items()}
    judged = sum([*counts.values()][1:])
    return SplitPlan(
        parts,
        counts,
        folded,
        detectable_gain(judged if folded else round(CHOOSING * judged), alpha),
    )


def _alike(relevant: Relevant, texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of a query and an earlier one that are one unit."""
    first: dict[str, str] = {}
    same: dict[frozenset[Hashable], str] = {}
    having: dict[Hashable, list[str]] = defaultdict(list)  # document -> queries so far
    for query, documents in relevant.items():
        text = _normalised(texts.get(query, ""))
        if text:
            yield query, first.setdefault(text, query)
        if not documents:
            continue
        twin = same.setdefault(frozenset(documents), query)
        if twin != query:  # which stands for both below
            yield query, twin
            continue
        shared = Counter(other for document in documents for other in having[document])
        for document in documents:
            having[document].append(query)
        for other, count in shared.items():
            if count >= ALIKE * (len(documents) + len(relevant[other]) - count):
                yield query, other


def _normalised(text: str) -> str:
    """Return words in lower case, without what is neither letter, mark nor digit."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (char if unicodedata.category(char)[0] in "LMN" else " " for char in folded)
    return " ".join("".join(kept).split()) or folded.strip()


def _refuse(relevant: Relevant, texts: Mapping[str, str], needed: int) -> None:
    count = len(units(relevant, texts))
    raise ValueError(
        f"tuning needs {needed} queries that differ in text and in relevant documents, some to "
        f"search by and some to judge by; {len(relevant)} came, {count} of them different: "
        "give more queries"
    )
