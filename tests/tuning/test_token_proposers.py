"""Proposers that need scores only: each finds what was planted, in every seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from embedder.prompts.prompt import Prompt
from tests.planted import FILLERS, PLANTED, PlantedObjective, plain_prompt
from tuning.proposers import pg, prune, tokens
from tuning.proposers.vocabulary import Vocabulary, influential_words, nearest_to_centres
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.space import Space
from tuning.search.types import (
    MakeProposer,
    Proposal,
    ProposerContext,
    Rules,
    Scored,
    Scores,
    TuningTask,
)

MUDDLED = "kelp amber jasper basalt onyx cobalt reef "


def tuned(
    objective: PlantedObjective, makers: Mapping[str, MakeProposer], seed: int, evaluations: int
) -> TuningOutcome:
    pool = (Proposal(objective.space.default, "pool", "default"),)
    rules = Rules(seed=seed)
    task = TuningTask(objective, objective.relevant, objective.space, pool, makers, rules)
    return tune(task, Budget(evaluations=evaluations), Journal(None, {}))


def gain_share(objective: PlantedObjective, prompt: Prompt) -> float:
    prompts = [objective.space.default, prompt, objective.best()]
    default, score, best = objective(prompts, list(objective.texts)).mean(axis=1).tolist()
    return float((score - default) / (best - default))


@pytest.mark.parametrize("seed", [0])  # benchmarks.tuning_planted tries five
@pytest.mark.parametrize("proposer", [tokens.Tokens, pg.Policy])
def test_planted_words_are_found(proposer: type[tokens.Tokens | pg.Policy], seed: int) -> None:
    objective = PlantedObjective(seed)
    make = partial(proposer, vocabulary=Vocabulary.of(objective.backbone))
    outcome = tuned(objective, {"it": make}, seed, 15_000)
    assert outcome.verdict == CHANGE
    assert gain_share(objective, outcome.prompt) >= 0.9
    assert outcome.spent.evaluations <= 15_000


@pytest.mark.parametrize("seed", [0])  # benchmarks.tuning_planted tries five
def test_harmful_words_are_pruned(seed: int) -> None:
    objective = PlantedObjective(seed)
    objective.space = replace(objective.space, default=plain_prompt(MUDDLED))
    outcome = tuned(objective, {"prune": prune.Prune}, seed, 8_000)
    assert outcome.verdict == CHANGE
    assert gain_share(objective, outcome.prompt) >= 0.9
    assert objective.space.words(outcome.prompt) < objective.space.words(objective.space.default)


def test_the_vocabulary_holds_whole_words_only() -> None:
    objective = PlantedObjective(0)
    vocabulary = Vocabulary.of(objective.backbone)
    assert vocabulary.words == (*PLANTED, *FILLERS)
    assert vocabulary.rows.shape == (26, 68)


def test_representatives_are_words_of_the_vocabulary() -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 8)).astype(np.float32)
    vocabulary = Vocabulary(tuple(f"w{at}" for at in range(50)), rows)
    some = vocabulary.representatives(10, seed=0)
    assert 1 <= len(some.words) <= 10 and set(some.words) <= set(vocabulary.words)
    assert vocabulary.representatives(10, seed=0).words == some.words
    assert vocabulary.representatives(60, seed=0) is vocabulary


def test_centres_of_clusters_are_found() -> None:
    """Eight tight groups of 40 rows: by hand, the row nearest to each mean direction."""
    rng = np.random.default_rng(3)
    means = np.eye(8, 16)
    rows = np.repeat(means, 40, axis=0) + rng.normal(0, 0.01, (320, 16))
    places = nearest_to_centres(rows.astype(np.float32), 24, seed=0)
    assert {at // 40 for at in places} == set(range(8))
    words = tuple(f"w{at}" for at in range(320))
    vocabulary = Vocabulary(words, rows.astype(np.float32))
    some = vocabulary.representatives(24, seed=0)
    assert some.words == tuple(words[at] for at in places)


class Counted:
    """Scores by word; counts what is asked for, and affords so many scores."""

    def __init__(self, room: float = np.inf) -> None:
        self.room, self.asked = room, 0

    def scores(self, prompt: Prompt, query_ids: Sequence[str]) -> Scores:
        self.asked += len(query_ids)
        text = prompt.forms[0].query[0].text
        return np.full(len(query_ids), sum(0.1 for word in PLANTED if word in text))

    def affords(self, prompt: Prompt, query_ids: Sequence[str], times: float) -> bool:
        return times * len(query_ids) <= self.room

    def context(self) -> ProposerContext:
        queries = tuple(f"q{at}" for at in range(64))
        once = lambda kind, key, cost, work: work()  # noqa: E731
        fails = lambda prompt, query_ids: ()  # noqa: E731
        return ProposerContext(
            Space(plain_prompt()), 0, queries, once, self.scores, fails, affords=self.affords
        )


def many_words(count: int) -> Vocabulary:
    rows = np.random.default_rng(0).standard_normal((count, 16)).astype(np.float32)
    return Vocabulary((*PLANTED, *(f"w{at}" for at in range(count - 3))), rows)


def test_the_worse_half_of_words_is_left_before_queries_are_doubled() -> None:
    """512 words by 8 queries, 256 by 8 more, 128 by 16; and 32 of the default."""
    counted = Counted()
    words = influential_words(counted.context(), many_words(512), 512)
    assert set(words[:3]) == set(PLANTED) and len(words) == 40
    asked_again = 512 * 8 + 256 * 16 + 128 * 32  # a scorer charges what is new
    assert counted.asked == asked_again + 32


def test_as_many_words_are_tried_as_half_of_the_budget_pays_for() -> None:
    """A cluster takes 16 scores: 8 + 8 / 2 + 16 / 4; 4,160 pay for 130, twice over."""
    counted = Counted(room=4_160)
    vocabulary = many_words(512)
    influential_words(counted.context(), vocabulary, 512)
    assert len(vocabulary.representatives(128, 0).words) == 128
    assert counted.asked == 128 * 8 + 64 * 16 + 32 * 32 + 32


def test_what_did_least_harm_alone_is_dropped_together() -> None:
    """Alone, kelp gains .1 and jasper .05; ":" loses .1 and amber .2: they go in this order."""
    context = Counted().context()
    context = replace(context, space=Space(plain_prompt("kelp amber jasper ")))
    pruner = prune.Prune(context)

    def told(proposal: Proposal, score: float) -> Scored:
        return Scored(proposal, dict.fromkeys(context.search, score), True)

    def wordings(proposals: Sequence[Proposal]) -> list[str]:
        return [proposal.prompt.forms[0].query[0].text for proposal in proposals]

    pruner.tell([told(Proposal(context.space.default, "pool"), 0.5)])
    alone = pruner.ask(12)
    assert wordings(alone) == [
        "amber jasper {text} :", "kelp jasper {text} :", "kelp amber {text} :",
        "kelp amber jasper {text}",
    ]  # fmt: skip
    gains = (0.6, 0.3, 0.55, 0.4)
    pruner.tell([told(one, score) for one, score in zip(alone, gains, strict=True)])
    together = pruner.ask(12)
    assert wordings(together) == ["amber {text} :", "amber {text}", "{text}"]
    assert [one.how for one in together] == [f"{n} words dropped" for n in (2, 3, 4)]
    pruner.tell([told(one, score) for one, score in zip(together, (0.7, 0.2, 0.1), strict=True)])
    assert wordings(pruner.ask(12)) == ["{text} :", "amber {text}"]
