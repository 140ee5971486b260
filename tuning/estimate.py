"""What a search would take: tokens counted, and time from a short sample that is read."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.types import Role
from tuning.objectives.judge import Judge
from tuning.objectives.pooled_objective import SHORT, PooledObjective
from tuning.objectives.prompt_encoder import fed_tokens
from tuning.search.budget import Cost, Meter
from tuning.search.refresh import Refreshes, room_for_finalists
from tuning.search.split import plan_split
from tuning.setup import TuningSetup

COUNTED = 200  # documents whose tokens are counted
TIMED_QUERIES, TIMED_DOCUMENTS = 16, 8  # that are read to measure how fast


def estimate_cost(setup: TuningSetup) -> dict[str, Any]:
    """Return what a search would take: queries, tokens and seconds of a prompt, and how many fit.

    A true gain of the size told is accepted in four of five runs where the scores of two prompts
    on a query differ by `split.SPREAD`, as they do about on real collections. Some queries, and
    documents where those are tuned, are read to measure the time.
    """
    task, default = setup.task, setup.space.default
    plan = plan_split(task.relevant, task.rules.seed, task.rules.alpha, task.texts)
    others = (each.prompt for each in task.first_prompts if each.prompt != default)
    judged = isinstance(task.objective, Judge)  # nobody is asked about the default
    prompt = next(others, default) if judged else default
    each = [task.objective.cost(prompt, part) for part in plan.parts.values()]
    costs = [cost.tokens for cost in each]
    calls = {name: cost.calls for name, cost in zip(plan.parts, each, strict=True)}
    documents = _document_tokens(setup)
    pool, whole = _pool_tokens(setup), documents if task.final else 0
    if plan.folded:  # a search on the first fold, on the first two, and so on; each has a winner
        searches = len(costs) - 1
        searching = sum(sum(costs[: at + 1]) for at in range(searches))
        ending, last = sum(costs) + sum(costs[1:]), searches * whole
    else:
        searching = costs[0]
        count = task.rules.finalists + 1
        room = room_for_finalists(task.objective, default, count, Meter(setup.budget))
        ending, last = count * costs[1] + 2 * costs[2], whole + room.tokens
    filling = task.objective.filling().tokens if isinstance(task.objective, Refreshes) else 0
    limit = setup.budget.tokens
    trying = task.signal.most() if task.signal else Cost()
    rate, document_rate = _seconds_a_token(setup)
    seconds = rate * searching + document_rate * pool
    return {
        "queries": {name: len(part) for name, part in plan.parts.items()},
        "queries_that_differ": plan.units,
        "gain_accepted_in_four_of_five_runs": plan.detectable,
        "tokens_of_one_prompt": dict(zip(plan.parts, costs, strict=True)),
        "calls_of_one_prompt": calls if judged else None,
        "tokens_of_its_documents": pool,
        "tokens_of_choosing_them": filling,
        "tokens_at_the_end": ending + last,
        **_trying_facts(trying if task.signal else None),
        "budget": str(setup.budget),
        "prompts_raced_to_the_end": None
        if limit is None or judged
        else max(0, limit - filling - ending - last - trying.tokens) // max(1, searching + pool),
        "seconds_of_one_prompt": None if judged else seconds,  # calls are not timed
        "seconds_at_the_end": None if judged else rate * ending + document_rate * last,
        "seconds_of_all_tokens": None
        if limit is None or judged
        else limit * seconds / max(1, searching + pool),
        "tokens_of_all_documents": documents,
        "times_fewer_than_reading_documents_again": (documents + searching)
        / max(1, searching + pool),
        "too_few_queries_to_certify": plan.folded,
    }


def _trying_facts(most: Cost | None) -> dict[str, int]:
    """Return what holding the signal against judgements takes at most, where there is one."""
    if most is None:
        return {}
    chat = {"calls": most.calls, "chat_tokens": most.chat_tokens} if most.calls else {}
    amounts = {"tokens": most.tokens} | chat
    return {f"{unit}_of_trying_the_signal": amount for unit, amount in amounts.items()}


def _pool_tokens(setup: TuningSetup) -> int:
    """Count the documents that each document prompt reads anew; 0 where those are not tuned."""
    objective = setup.task.objective
    if not isinstance(objective, PooledObjective):
        return 0
    return objective.documents_cost(setup.space.default).tokens


def _document_tokens(setup: TuningSetup) -> int:
    """Count the tokens of documents in their prompt; of many, on a sample."""
    index = setup.objective.index
    every = max(1, index.documents // COUNTED)
    texts = [document.content for at, document in enumerate(index.stream()) if at % every == 0]
    counted = fed_tokens(setup.encoder, texts, Role.DOCUMENT)
    return round(counted * index.documents / max(1, len(texts)))


def _seconds_a_token(setup: TuningSetup) -> tuple[float, float]:
    """Measure how long a token of a query takes, its search included, and one of a document."""
    objective, default = setup.objective, setup.space.default
    ids = list(objective.data.queries)[:TIMED_QUERIES]
    objective([default], ids[:1])  # what is loaded and compiled first is not timed
    seconds = _timed(lambda: objective([default], ids))
    rate = seconds / max(1, objective.cost(default, ids).tokens)
    encoder = setup.encoder
    if setup.task.final is None or not isinstance(encoder, LLMEncoder | AdaptedEncoder):
        return rate, 0.0
    texts = list(islice(_texts(setup), TIMED_DOCUMENTS))
    seconds = _timed(lambda: encoder.encode(texts, Role.DOCUMENT))
    return rate, seconds / max(1, fed_tokens(encoder, texts, Role.DOCUMENT))


def _texts(setup: TuningSetup) -> Iterator[str]:
    """Yield documents cut near the length that a search reads them to."""
    for document in setup.objective.index.stream():
        yield " ".join(document.content.split()[:SHORT])


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
