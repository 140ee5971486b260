"""Is a judge worth asking? It is tried on lists of which the better one is known."""

from collections.abc import Sequence

import pytest

from tests.planted import plain_prompt
from tests.scripted_judge import Scripted
from tuning.objectives.direction import DirectionTest, known_pairs, sign_test, try_judge
from tuning.objectives.judge import Judge
from tuning.search.signal import RefusedSignalError


def pairs() -> list[tuple[str, Sequence[str], Sequence[str]]]:
    queries = {f"q{at}": f"red number{at}" for at in range(20)}
    answers = {query: f"about {text}" for query, text in queries.items()}
    found = {query: ["about blue", answers[query], "red", "green"] for query in queries}
    return known_pairs(queries, answers, found)


def test_a_judge_must_prefer_lists_that_are_known_to_be_better() -> None:
    _, worse, better = pairs()[0]
    assert better[0] == "about red number0" and better[0] not in worse
    assert len(worse) == len(better)  # what is longer is not known by its length

    def tried(kind: str) -> DirectionTest:
        return try_judge(Judge(Scripted(kind), {}, lambda *_: {}, plain_prompt()), pairs())

    good = tried("better")
    assert (good.wins, good.ties, good.losses) == (20, 0, 0)
    assert good.p == pytest.approx(0.5**20)
    good.check()
    with pytest.raises(RefusedSignalError, match="better one in 0, the worse one in 20 and neith"):
        tried("worse").check()
    with pytest.raises(RefusedSignalError, match=r"first or last, in 20 \(sign test p = 1;"):
        tried("first").check()  # it was not said what became of these


def test_a_sign_test_is_the_binomial_tail() -> None:
    assert sign_test(5, 0) == pytest.approx(1 / 32)
    assert sign_test(15, 5) == pytest.approx(21700 / 2**20)  # sum of C(20, k) for k >= 15
    assert sign_test(0, 0) == 1.0
