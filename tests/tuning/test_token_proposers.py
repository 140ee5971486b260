"""Proposers that need scores only: each finds what was planted, in every seed."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from embedder.prompts.prompt import Prompt
from tests.planted import FILLERS, PLANTED, PlantedObjective, plain_prompt
from tuning.proposers import pg, prune, tokens
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.types import MakeProposer, Proposal, Rules, TuningTask

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


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("proposer", [tokens.Tokens, pg.Policy])
def test_planted_words_are_found(proposer: type[tokens.Tokens | pg.Policy], seed: int) -> None:
    objective = PlantedObjective(seed)
    make = partial(proposer, vocabulary=Vocabulary.of(objective.backbone))
    outcome = tuned(objective, {"it": make}, seed, 15_000)
    assert outcome.verdict == CHANGE
    assert gain_share(objective, outcome.prompt) >= 0.9
    assert outcome.spent.evaluations <= 15_000


@pytest.mark.parametrize("seed", range(3))
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
