"""Is a signal without judgements worth following? Asked, and paid for, before a search."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from embedder.prompts.prompt import Prompt
from eval.synthesis.devset_styles import MadeDevset
from tuning.objectives.direction import PAIRS, DirectionTest, known_pairs, sign_test, try_judge
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judge import Judge, SearchedLists
from tuning.objectives.known_judgements import Place
from tuning.objectives.validity import THRESHOLD, Validity, validity
from tuning.search.budget import Cost, Meter, SpentError
from tuning.search.journal import Settled
from tuning.search.signal import RefusedSignalError
from tuning.search.types import Once, Rules

SATURATED = 0.98  # mean of the default, above which nothing can be told from its errors
DECIDED = 20  # queries for which a judge must prefer one of the lists


@dataclass(slots=True)
class SignalCheck:
    """What a search without judgements goes by, and whether it may.

    Attributes:
        made: queries made of the index's documents.
        objective: scores on these.
        prompts: held against judgements; the default at the front.
        places: where there are judgements.
        judge: of lists, where it is the signal; else the made queries are.
        rules: of the search.
        direction: what the judge made of known lists, once it was asked.
        saturation: mean of the default on the made queries, once it was scored.
        validities: of the places that could be used, once they were.
    """

    made: MadeDevset
    objective: IndexObjective
    prompts: tuple[Prompt, ...]
    places: tuple[Place, ...]
    judge: Judge | None
    rules: Rules
    direction: DirectionTest | None = None
    saturation: float | None = None
    validities: list[Validity] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)

    @property
    def name(self) -> str:
        """What the signal is, for people."""
        return f"judge {self.judge.chat.name}" if self.judge else f"{self.made.style} queries"

    @property
    def measure(self) -> str:
        """What prompts are scored by, for people."""
        return f"preference of {self.name}" if self.judge else self.objective.data.measure

    @property
    def tau(self) -> float | None:
        """Mean of Kendall's tau over the places; None where prompts came in no order."""
        taus = [each.tau for each in self.validities if each.tau is not None]
        return float(np.mean(taus)) if taus else None

    def most(self) -> Cost:
        """Return what trying the signal takes at most, without trying it."""
        queries = list(self.objective.data.queries)
        cost = sum((place.cost(self.prompts) for place in self.places), Cost())
        if self.judge is None:
            return cost + self.objective.cost(self.prompts[0], queries)
        return cost + self._direction_cost(self.judge)

    def texts(self) -> int:
        """Return how many texts are read to try it, at most."""
        read = sum(place.texts(len(self.prompts)) for place in self.places)
        made = len(self.objective.data.queries)
        return read + (made if self.judge is None else min(made, PAIRS))

    def _direction_cost(self, judge: Judge) -> Cost:
        queries = list(self.objective.data.queries)[:PAIRS]
        return self.objective.cost(self.prompts[0], queries) + judge.asking(queries)

    def check(self, once: Once, meter: Meter) -> None:
        """Try the signal, and refuse one that is not worth following.

        Raises:
            RefusedSignalError: it is, or the budget does not pay for finding out.
        """
        before = meter.spent
        try:
            self._check_made(once)
            if self.judge is not None:
                self._check_direction(once, self.judge)
            self._check_order(once)
        except SpentError as error:
            raise RefusedSignalError(
                f"the budget does not pay for trying the signal, {self.name}: {error}; "
                "give a larger --budget, or a few judged queries by --queries and --qrels"
            ) from error
        self.cost = meter.spent.less(before)

    def doubt(self, wins: int, losses: int) -> str:
        """Say why a judge's preference is no claim: too few decided queries, or no sign test."""
        if self.judge is None:
            return ""
        told = (
            f"cannot tell: the judge prefers one list for {wins + losses} queries, "
            f"{wins} times the new one"
        )
        if wins + losses < DECIDED:
            return f"{told}; a sign test needs {DECIDED} at least"
        p = sign_test(wins, losses)
        return "" if p <= self.rules.alpha else f"{told} (sign test p = {p:.2g})"

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {
            "signal": self.name,
            "style": self.made.style,
            "made": dict(self.made.tried),
            "default_on_made_queries": self.saturation,
            "direction": asdict(self.direction) | {"p": self.direction.p}
            if self.direction
            else None,
            "validity": [asdict(each) for each in self.validities],
            "tau": self.tau,
            "spent": asdict(self.cost),
        }

    def describe(self) -> str:
        """Say in a line what the signal is, and how it was held against judgements."""
        asked = f"; {self.direction.describe()}" if self.direction else ""
        scale = ", and .5 is as good as the default" if self.judge else ""
        told = f"{self.name}, not people's judgements: gains are those by it{scale}"
        return f"{told}. {self.order}{asked}"

    @property
    def order(self) -> str:
        """How far it orders prompts as judgements do, in a line."""
        orders = [
            f"{'no order' if each.tau is None else f'{each.tau:+.2f}'} on {each.signal}"
            for each in self.validities
        ]
        return f"Kendall's tau of {len(self.prompts)} prompts: {', '.join(orders)}"

    def _check_made(self, once: Once) -> None:
        """Charge the chat model's queries, and refuse what the default answers already."""
        if self.made.spent.keys() - asdict(Cost()).keys():
            raise ValueError("the devset does not say what it took; remove its folder")
        if self.made.spent:
            once("made", "index", Cost(**self.made.spent), lambda: None)
        if self.judge is not None:
            return
        default, queries = self.prompts[0], list(self.objective.data.queries)
        score = lambda: float(self.objective([default], queries).mean())  # noqa: E731
        self.saturation = once("made", "default", self.objective.cost(default, queries), score)
        if self.saturation >= SATURATED:
            others = {"title": "cloze", "cloze": "chat --writer MODEL", "chat": "cloze"}
            raise RefusedSignalError(
                f"the {self.made.style} queries are too easy to tune on: the default has "
                f"{self.objective.data.measure} {self.saturation:.3f} (below {SATURATED} is "
                f"needed); try --style {others[self.made.style]}, or judged queries"
            )

    def _check_direction(self, once: Once, judge: Judge) -> None:
        data, index = self.objective.data, self.objective.index
        default, queries = self.prompts[0], list(data.queries)[:PAIRS]

        def ask() -> Settled:
            before = judge.used()
            lists = SearchedLists(self.objective, index)(default, queries)
            answers = {
                query: index.document(next(iter(data.qrels[query]))).content for query in queries
            }
            texts = {query: data.queries[query] for query in queries}
            test = try_judge(judge, known_pairs(texts, answers, lists))
            counts = [test.wins, test.ties, test.losses]
            return Settled(counts, read + judge.used().less(before))

        read = self.objective.cost(default, queries)
        counts = once("direction", judge.chat.name, self._direction_cost(judge), ask)
        self.direction = DirectionTest(judge.chat.name, *counts)
        self.direction.check()

    def _check_order(self, once: Once) -> None:
        """Hold the signal against judgements, over the same prompts."""
        for place in self.places:
            means = place.measure(self.prompts, once)
            if means is not None:
                self.validities += validity({place.name: means[0]}, means[1], self.rules.seed)
        if self.tau is not None and self.tau >= THRESHOLD:
            return
        found = self.order if self.validities else "nothing to hold it against"
        raise RefusedSignalError(
            f"{self.name} may order prompts otherwise than people's judgements would ({found}; "
            f"at least {THRESHOLD} is needed): {self._advice()}"
        )

    def _advice(self) -> str:
        if self.judge is not None:
            return "give a stronger model to --judge, or judged queries by --queries and --qrels"
        return "try another --style, or give judged queries by --queries and --qrels"


def usable_prompts(
    objective: IndexObjective, prompts: Sequence[Prompt], most: int
) -> tuple[Prompt, ...]:
    """Return the default, which is the first, and the shortest of those that the model can take."""
    default, queries = prompts[0], list(objective.data.queries)[:1]
    tokens: dict[int, int] = {}
    for at, prompt in enumerate(prompts):
        try:
            tokens[at] = objective.cost(prompt, queries).tokens
        except ValueError:
            if prompt == default:
                raise
    others = sorted((at for at in tokens if at), key=lambda at: (tokens[at], at))[: most - 1]
    return (default, *(prompts[at] for at in sorted(others)))
