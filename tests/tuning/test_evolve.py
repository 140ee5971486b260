"""Evolution finds planted phrases, and edits nothing but the words around a text."""

from functools import partial

from embedder.prompts.prompt import Prompt
from embedder.types import Role
from tests.planted import FILLERS, PLANTED, PlantedObjective
from tuning.proposers.evolve import Evolve, Phrases
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.types import Rules, TuningTask

LIBRARY = Phrases((), (*PLANTED, *FILLERS[:13]))


def tuned(objective: PlantedObjective, seed: int) -> TuningOutcome:
    makers = {"evolve": partial(Evolve, library=LIBRARY)}
    rules = Rules(seed=seed)
    task = TuningTask(
        objective, objective.relevant, objective.space, objective.pool(), makers, rules
    )
    return tune(task, Budget(evaluations=6_000), Journal(None, {}))


def gain_share(objective: PlantedObjective, prompt: Prompt) -> float:
    prompts = [objective.space.default, prompt, objective.best()]
    default, score, best = objective(prompts, list(objective.texts)).mean(axis=1).tolist()
    return float((score - default) / (best - default))


def test_it_finds_the_planted_words() -> None:
    """One seed here; `benchmarks.tuning_planted` tries five of every proposer."""
    seed = 0
    objective = PlantedObjective(seed)
    outcome = tuned(objective, seed)
    assert outcome.verdict == CHANGE
    assert gain_share(objective, outcome.prompt) >= 0.9
    assert outcome.spent.evaluations <= 6_000


def test_it_touches_only_the_words_around_a_query() -> None:
    objective = PlantedObjective(0, queries=84)
    outcome = tuned(objective, 0)
    default = objective.space.default
    for result in outcome.scored:
        prompt = result.proposal.prompt
        assert prompt.forms[0].document == default.forms[0].document
        assert prompt.forms[0].query[0].text.count("{text}") == 1
        assert prompt.reading == default.reading
        assert objective.space.around(prompt, Role.QUERY)


def test_the_library_is_whole() -> None:
    library = Phrases.load()
    assert len(library.frames) >= 10 and len(library.phrases) >= 50
    assert len(set(library.phrases)) == len(library.phrases)
