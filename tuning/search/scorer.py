"""Scores of prompts: charged, journaled, and never computed twice."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, replace
from typing import Any

import numpy as np

from embedder.files.kept_scores import EarlierScores
from embedder.prompts.prompt import Prompt
from tuning.search.budget import NOTHING, Cost, Meter
from tuning.search.journal import DamagedJournalError, Journal, Settled
from tuning.search.space import key_of
from tuning.search.types import (
    Failure,
    Objective,
    Prepares,
    PreparesTogether,
    ReadsAlike,
    Repeatable,
    Scores,
    Settles,
)

LARGEST = 1e9  # of a score
SHOWN_FAILURES = 20  # queries of a prompt whose failures are looked at


class Scorer:
    """An objective behind a meter and a journal.

    Attributes:
        hits: scores that were known already.
        sealed: queries whose scores of earlier runs are not given: CONFIRM, until it is opened.
        after_scores: called after every piece of new scores, e.g. to show how far a search is.
    """

    def __init__(
        self,
        objective: Objective,
        journal: Journal,
        meter: Meter,
        earlier: EarlierScores | None = None,
    ) -> None:
        self.objective, self.journal, self.meter = objective, journal, meter
        self.earlier = earlier or EarlierScores()
        self.sealed: frozenset[str] = frozenset()
        self.hits = 0
        self.after_scores: Callable[[], None] = lambda: None
        self._scores: dict[str, dict[str, float]] = {}
        self._read: dict[str, set[str]] = defaultdict(set)  # reading key -> query ids
        self._prepared: set[str] = set()
        self._failures: dict[tuple[str, str], list[Failure]] = {}

    def scores(self, prompt: Prompt, query_ids: Sequence[str]) -> Scores:
        """Return the scores of one prompt.

        Raises:
            SpentError: they do not fit into the budget.
            ValueError: the prompt cannot be used.
        """
        missing = self._missing(prompt, query_ids)
        known = self._scores[key_of(prompt)]
        self.hits += len(query_ids) - len(missing)
        if missing:
            self.prepare(prompt)
            key = [key_of(prompt), _digest(missing)]
            work = lambda: self._scored(prompt, missing)  # noqa: E731
            values = self.once("scores", key, self._scoring(prompt, missing), work)
            values = _checked(values, len(missing))
            known.update(zip(missing, values, strict=True))
            self._keep(prompt, missing)
            self._read[self._reading_key(prompt)].update(missing)
            self.after_scores()
        return np.array([known[query] for query in query_ids], dtype=np.float64)

    def _missing(self, prompt: Prompt, query_ids: Sequence[str]) -> list[str]:
        """Return the queries without a score, after what earlier runs know was taken in."""
        known = self._scores.setdefault(key_of(prompt), {})
        missing = [query for query in query_ids if query not in known]
        if isinstance(self.objective, Repeatable):
            for query in missing:
                if query not in self.sealed:
                    score = self.earlier.take(self.objective.score_key(prompt, query))
                    if score is not None:
                        known[query] = score
        return [query for query in missing if query not in known]

    def _keep(self, prompt: Prompt, query_ids: Sequence[str]) -> None:
        """Keep new scores for later runs."""
        if isinstance(self.objective, Repeatable):
            known = self._scores[key_of(prompt)]
            for query in query_ids:
                self.earlier.add(self.objective.score_key(prompt, query), known[query])

    def _scored(self, prompt: Prompt, query_ids: Sequence[str]) -> list[float] | Settled:
        values: list[float] = self.objective([prompt], query_ids)[0].tolist()
        if isinstance(self.objective, Settles):
            return Settled(values, self.objective.used())
        return values

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return what went wrong for the queries that a prompt scores worst on.

        They are searched again, which is charged as scoring them is; once for a prompt.

        Raises:
            SpentError: it does not fit into the budget.
        """
        if not getattr(self.objective, "tells_failures", True):
            return []
        known = self._scores.get(key_of(prompt), {})
        order = sorted(query_ids, key=lambda query: (known.get(query, 0.0), query))
        worst = [query for query in order if known.get(query, 0.0) < 1][:SHOWN_FAILURES]
        if not worst:
            return []
        key = key_of(prompt), _digest(worst)
        if key not in self._failures:
            self.prepare(prompt)  # its scores may be of an earlier run
            work = lambda: [asdict(each) for each in self.objective.failures(prompt, worst)]  # noqa: E731
            records = self.once("failures", [*key], self.objective.cost(prompt, worst), work)
            self._failures[key] = [Failure(**record) for record in records]
        return self._failures[key]

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Return the cost of the scores that are not known yet."""
        missing = self._missing(prompt, query_ids)
        if not missing:
            return NOTHING
        return self._scoring(prompt, missing) + self.preparing(prompt)[1]

    def joint_cost(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Cost:
        """Return the cost of the scores of several prompts; what they share is counted once."""
        first = {self._reading_key(prompt): prompt for prompt in reversed(prompts)}.values()
        cost = sum((self.cost(prompt, query_ids) for prompt in first), NOTHING)
        missing = (len({*query_ids} - self.known(prompt, query_ids).keys()) for prompt in prompts)
        return replace(cost, evaluations=sum(missing))

    def affords(self, prompt: Prompt, query_ids: Sequence[str], times: float) -> bool:
        """Tell whether the budget pays for scoring prompts like this one so many times."""
        cost = self.objective.cost(prompt, query_ids)
        return self.meter.fits(Cost(*(math.ceil(times * amount) for amount in astuple(cost))))

    def _scoring(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Return the cost of scores; queries that were read for another prompt cost no tokens."""
        read = self._read[self._reading_key(prompt)]
        unread = self.objective.cost(prompt, [query for query in query_ids if query not in read])
        return replace(unread, evaluations=len(query_ids))

    def _reading_key(self, prompt: Prompt) -> str:
        if isinstance(self.objective, ReadsAlike):
            return self.objective.reading_key(prompt)
        return key_of(prompt)

    def preparing(self, prompt: Prompt) -> tuple[str, Cost]:
        """Return the key of the documents that a prompt needs encoded, and what is still to pay."""
        if not isinstance(self.objective, Prepares):
            return "", NOTHING
        key, cost = self.objective.preparation(prompt)
        return key, NOTHING if key in self._prepared else cost

    def prepare(self, prompt: Prompt) -> None:
        """Charge what a prompt needs encoded before it is scored, once."""
        key, cost = self.preparing(prompt)
        if key and key not in self._prepared:
            self.once("documents", key_of(prompt), cost, lambda: None)
            self._prepared.add(key)

    def prepare_together(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> None:
        """Charge what prompts need encoded to be scored on queries, where it is less together.

        If not all of it fits, each prompt is left to pay for itself.
        """
        objective = self.objective
        if not isinstance(objective, PreparesTogether):
            return
        usable = [
            prompt
            for prompt in prompts
            if self.is_usable(prompt)
            and self.preparing(prompt)[1] != NOTHING
            and self._missing(prompt, query_ids)
        ]
        keys, cost = objective.joint_preparation(usable)
        if len(keys) > 1 and self.meter.fits(cost):
            objective.read_together(usable)
            self.once("documents", [key_of(prompt) for prompt in usable], cost, lambda: None)
            self._prepared.update(keys)

    def is_usable(self, prompt: Prompt) -> bool:
        """Tell whether the model can be read with a prompt; scoring says why it cannot."""
        try:
            self.objective.cost(prompt, ())
            self.preparing(prompt)
        except ValueError:
            return False
        return True

    def is_late(self, moment: float | None, more: float = 0.0) -> bool:
        """Tell whether a moment has come, or will in `more` seconds; written down for replays."""
        if moment is None:
            return False
        return bool(self.journal.note("late", lambda: self.meter.seconds + more >= moment))

    def for_search(self, quick: Objective | None, default: Prompt) -> "Scorer":
        """Return what scores SEARCH by an objective that takes less; itself where there is none.

        Scores of the default are known to both where nothing must be encoded for it.
        """
        if quick is None:
            return self
        other = self.judging(quick)
        if not self.preparing(default)[0]:
            key, read = key_of(default), self._reading_key(default)
            other._scores[key] = self._scores.setdefault(key, {})
            other._read[read] = self._read[read]
        return other

    def known(self, prompt: Prompt, query_ids: Sequence[str]) -> dict[str, float]:
        """Return the scores of these queries that are known; others, of a fold, are not told."""
        scores = self._scores.get(key_of(prompt), {})
        return {query: scores[query] for query in query_ids if query in scores}

    def judging(self, objective: Objective) -> "Scorer":
        """Return what scores by another objective, at the cost of the same budget."""
        other = Scorer(objective, self.journal, self.meter, self.earlier)
        other.sealed = self.sealed
        return other

    def once(self, kind: str, key: Any, cost: Cost, work: Any) -> Any:  # noqa: ANN401
        """Charge work and do it once."""
        return self.journal.once(kind, key, self.meter, cost, work)


def _is_score(value: Any) -> bool:  # noqa: ANN401 - JSON
    return type(value) in (int, float) and -LARGEST < value < LARGEST  # NaN is not


def _checked(values: Any, count: int) -> list[float]:  # noqa: ANN401 - JSON
    """Return scores as they come from a journal, if they are as many numbers as there should be."""
    if not (isinstance(values, list) and len(values) == count and all(map(_is_score, values))):
        raise DamagedJournalError(
            f"the journal is damaged: expected {count} scores; got {values!r:.80}"
        )
    return list(values)


def _digest(query_ids: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(query_ids).encode()).hexdigest()[:16]
