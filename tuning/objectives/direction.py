"""Does a judge prefer the better list? Asked before anything is decided by it.

A judge that is read the wrong way round, or that names a letter without reading, looks like any
other in a search. Here the better list is known: it holds, at its head, the document that a query
was made from, and the other list is without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tuning.objectives.judge import SHOWN, TIE, Judge
from tuning.search.signal import RefusedSignalError

PAIRS = 20
LEVEL = 0.05

ListPair = tuple[str, Sequence[str], Sequence[str]]
"""Query, the worse list and the better one, of texts."""


@dataclass(frozen=True, slots=True)
class DirectionTest:
    """What a judge made of lists of which the better one is known.

    Attributes:
        judge: its name.
        wins: queries for which it prefers the better list.
        ties: queries for which it prefers neither, or the place rather than the list.
        losses: queries for which it prefers the worse one.
    """

    judge: str
    wins: int
    ties: int
    losses: int

    @property
    def p(self) -> float:
        """One-sided, by the sign test over what was decided; 1 where nothing was."""
        return sign_test(self.wins, self.losses)

    def describe(self) -> str:
        """Say in a line what it made of them."""
        return (
            f"of {self.wins + self.ties + self.losses} pairs of lists, shown in both orders, it "
            f"prefers the better one in {self.wins}, the worse one in {self.losses} and neither, "
            f"or what comes first or last, in {self.ties} (sign test p = {self.p:.2g}; at most "
            f"{LEVEL} is needed)"
        )

    def check(self) -> None:
        """Refuse a judge that does not surely prefer the better list.

        Raises:
            RefusedSignalError: it does not.
        """
        if self.p > LEVEL:
            raise RefusedSignalError(
                f"{self.judge} cannot judge: {self.describe()}; "
                "give a stronger model to --judge, or tune without it"
            )


def sign_test(wins: int, losses: int) -> float:
    """Return the probability of as many wins, or more, if winning and losing were as likely."""
    from scipy.stats import binomtest

    decided = wins + losses
    return float(binomtest(wins, decided, alternative="greater").pvalue) if decided else 1.0


def known_pairs(
    queries: Mapping[str, str], answers: Mapping[str, str], found: Mapping[str, Sequence[str]]
) -> list[ListPair]:
    """Make pairs of lists, the better of which holds the answer at its head.

    Args:
        queries: query id -> text.
        answers: query id -> text of the document that answers it.
        found: query id -> texts that a search found, which are taken for other documents.
    """
    pairs: list[ListPair] = []
    for query, text in queries.items():
        others = [one for one in found[query] if one != answers[query]][:SHOWN]
        if others:  # both are as long: a judge may like what is longer
            pairs.append((text, others, [answers[query], *others[:-1]]))
    return pairs


def try_judge(judge: Judge, pairs: Sequence[ListPair]) -> DirectionTest:
    """Ask a judge about pairs of which the better list is known."""
    preferred = [judge.prefer(query, worse, better) for query, worse, better in pairs]
    wins, losses = (sum(one > TIE for one in preferred), sum(one < TIE for one in preferred))
    return DirectionTest(judge.chat.name, wins, len(preferred) - wins - losses, losses)
