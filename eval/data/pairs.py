"""Sentence pairs with people's scores of their similarity, read from tab-separated files."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path

from embedder.files.content_hash import content_hash
from embedder.files.lines import read_number, shorten
from eval.data.tables import distinct, read_rows

COLUMNS = ("score", "sentence1", "sentence2")


@dataclass(frozen=True, slots=True)
class SentencePair:
    """Two sentences, how similar people found them, and the part of the set they are from."""

    gold: float
    first: str
    second: str
    subset: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.gold):
            raise ValueError(f"expected a finite number as score; got {self.gold}")


@dataclass(frozen=True, slots=True)
class PairSet:
    """A named set of at least two pairs, in the order of its file."""

    name: str
    pairs: tuple[SentencePair, ...]

    def __post_init__(self) -> None:
        if len(self.pairs) < 2:
            raise ValueError(
                f"a correlation needs at least two pairs; {self.name} has {len(self.pairs)}"
            )

    @property
    def subsets(self) -> list[str]:
        """Names of the parts in the order of their first pairs; none where nothing is named."""
        return [name for name in dict.fromkeys(pair.subset for pair in self.pairs) if name]

    def source_facts(self) -> dict[str, str]:
        """Return a digest of the pairs: where it differs, figures are of other data."""
        return {"pairs": content_hash([list(astuple(pair)) for pair in self.pairs])}


def sentences(sets: Sequence[PairSet]) -> list[str]:
    """Return every sentence of the sets once, in the order of first appearance."""
    pairs = chain.from_iterable(pair_set.pairs for pair_set in sets)
    return distinct(text for pair in pairs for text in (pair.first, pair.second))


def read_pairs(path: Path) -> PairSet:
    """Read a set: tab-separated, a header that names score, sentence1, sentence2, perhaps subset.

    Quotation marks are text, other columns are passed over, and the set is named after the file.

    Raises:
        ValueError: a column is missing, a line has too few or too many fields, a score is no
            finite number, or there are fewer than two pairs.
    """
    pairs = []
    for place, fields in read_rows(path, COLUMNS):
        try:
            pairs.append(_pair(fields))
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error
    try:
        return PairSet(path.stem, tuple(pairs))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _pair(fields: Mapping[str, str]) -> SentencePair:
    try:
        gold = read_number(fields["score"])
    except ValueError as error:
        score = shorten(fields["score"])
        raise ValueError(f"expected a number as score; got {score}") from error
    return SentencePair(gold, fields["sentence1"], fields["sentence2"], fields.get("subset", ""))
