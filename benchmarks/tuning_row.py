"""One row of the table of tunings: a search, and beside it what the whole library would give."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from embedder.files.json_file import write_json
from eval.data.qrels import read_qrels
from eval.data.queries import read_queries
from eval.statistics.one_sided import one_sided_test, sums_of_clusters
from retrieval.retriever import Retriever
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import TuningOptions
from tuning.run import read_seconds, tune_index
from tuning.search.choice import FLIPS, PromptGain, measure_gain
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.space import key_of
from tuning.search.split import plan_split, unit_numbers
from tuning.search.types import Proposal, Scores
from tuning.setup import TuningSetup, prepare_tuning

SPLITS = {"scifact": "train", "cranfield": "test", "cisi": "test", "vaswani": "test"}
"""Collection -> judgements that are tuned on. A collection of one split is split by the tuner."""


@dataclass(frozen=True, slots=True)
class Held:
    """The queries that the one prompt is judged on.

    Attributes:
        ids: of CONFIRM; with folds, of the last.
        units: of each query.
    """

    ids: tuple[str, ...]
    units: tuple[int, ...]


def judged(data: Path, collection: str) -> JudgedQueries:
    """Read the queries that are tuned on, with their judgements."""
    folder = data / collection
    qrels = read_qrels(folder / "qrels" / f"{SPLITS[collection]}.tsv")
    return JudgedQueries.of(read_queries(folder / "queries.jsonl"), qrels)


def tune_row(
    retriever: Retriever, data: JudgedQueries, options: TuningOptions, folder: Path
) -> dict[str, Any]:
    """Tune, then try every wording of the library on the queries that judged.

    The search comes first, so that it finds nothing computed. What was interrupted is taken up.

    Args:
        retriever: of the channels that are tuned.
        data: queries and judgements.
        options: of the tuning.
        folder: of the run.
    """
    outcome = tune_index(retriever, data, options, folder)
    data = data.answered_in(retriever.index)
    setup = prepare_tuning(retriever.index, retriever.encoders, data, options, folder)
    held = held_out(setup)
    scores = sweep_library(setup, held, folder / "library.json")
    best, p = best_of_library(setup, held, scores)
    tested = outcome.confirmed
    changed = outcome.verdict == CHANGE
    recovered = (tested.gain if changed and tested else 0.0) / best.gain if p <= 0.05 else None
    return {
        "documents": retriever.index.documents,
        "queries": outcome.queries,
        "held_out": len(held.ids),
        "default_ndcg10": best.default,
        "oracle": described(best) | {"p": p, "tried": len(scores)},
        "oracle_in_search": raced(outcome, best.proposal),
        "tested": described(tested) if tested else None,
        "decision": outcome.decision.p if outcome.decision else None,
        "verdict": outcome.verdict,
        "changed": changed,
        "reason": outcome.reason,
        "recovered": recovered,
        "search_means": best_by_maker(outcome),
        "proposals": len(outcome.scored),
        "finished": sum(scored.finished for scored in outcome.scored),
        "tokens": outcome.spent.tokens,
        "seconds": read_seconds(folder / "seconds.txt"),
    }


def held_out(setup: TuningSetup) -> Held:
    """Return the queries that judge, as the search splits them."""
    task = setup.task
    plan = plan_split(task.relevant, task.rules.seed, task.rules.alpha, task.texts)
    ids = [*plan.parts.values()][-1]
    return Held(tuple(ids), tuple(unit_numbers(task.relevant, ids, task.texts)))


def sweep_library(setup: TuningSetup, held: Held, file: Path) -> dict[str, list[float]]:
    """Score the default and every wording of the library; those in the file are known already.

    Returns:
        Key of a prompt -> score of each query; without those that the model cannot be read with.
    """
    known: dict[str, list[float]] = {}
    if file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))
    for proposal in library(setup):
        key = key_of(proposal.prompt)
        if key not in known:
            known[key] = [*_scored(setup, proposal, held)]
            write_json(file, known)
    return {key: scores for key, scores in known.items() if scores}


def library(setup: TuningSetup) -> list[Proposal]:
    """Return the default and the wordings that a search tries first, too long ones among them."""
    return [proposal for proposal in setup.task.first_prompts if proposal.prompted]


def _scored(setup: TuningSetup, proposal: Proposal, held: Held) -> Iterator[float]:
    """Yield the score of each query; none where the model cannot be read with the prompt."""
    try:
        yield from setup.objective([proposal.prompt], held.ids)[0].tolist()
    except ValueError:
        return


def best_of_library(
    setup: TuningSetup, held: Held, scores: Mapping[str, list[float]]
) -> tuple[PromptGain, float]:
    """Return the gain of the best wording over the default, and its p among all that were tried.

    The gain is that of the best of many on the very queries that chose it, so it is too large;
    the p-value is adjusted for that, the interval is not.
    """
    default, *others = (each for each in library(setup) if key_of(each.prompt) in scores)
    rows: list[Scores] = [np.array(scores[key_of(each.prompt)]) for each in (default, *others)]
    differences = sums_of_clusters(np.column_stack(rows[1:]) - rows[0][:, None], held.units)
    rules = setup.task.rules
    p = one_sided_test(differences, np.random.default_rng([rules.seed, 4]), FLIPS)
    at = int(differences.sum(axis=0).argmax())
    pair = rows[at + 1], rows[0]
    return measure_gain(others[at], held.ids, pair, rules, held.units), float(p[at])


def described(gain: PromptGain) -> dict[str, Any]:
    """Return what is kept of a gain."""
    kept = ("how", "made_by", "prompted", "mean", "gain", "interval", "p", "bound", "units")
    figures = gain.to_json()
    wording = gain.proposal.prompt.forms[0].query[0].text
    return {name: figures[name] for name in kept} | {"wording": wording}


def raced(outcome: TuningOutcome, oracle: Proposal) -> dict[str, Any]:
    """Tell what became of the best of the library in the search, and what led there."""
    found = [each for each in outcome.scored if each.proposal.prompt == oracle.prompt]
    return {
        "decisions": [each.decision for each in found],
        "mean": found[-1].mean if found else None,
        "default": outcome.scored[0].mean,
    }


def best_by_maker(outcome: TuningOutcome) -> dict[str, float]:
    """Return the best mean on all of SEARCH of each maker."""
    best: dict[str, float] = {}
    for scored in outcome.scored:
        proposal = scored.proposal
        name = "default" if proposal.how == "default" else proposal.made_by
        if scored.finished:
            best[name] = max(best.get(name, 0.0), scored.mean)
    return best
