"""How much of a real gap the tuner recovers: searches replayed on scores that a study left.

python -m benchmarks.tuning_replay RUNS --data FOLDER [--only cranfield ...] [--run dense]
                                   [--seeds 20] [--share 1 0.5] [--block 25] [--dry]

RUNS is the folder of run folders, one a query wording, that `python -m benchmarks.smollm2
query-wordings` leaves for SmolLM2; no model runs. Every wording is a first prompt, and there are no
proposers. Each seed splits the queries anew. The oracle is the best wording on the queries that
judge, which is significant where its p-value, adjusted for all wordings, is at most .05; there the
share of its gain that the tuner took is told. --share is of what scoring all wordings on all of
SEARCH, and the end, takes.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.record import append
from benchmarks.tuning_row import judged
from embedder.prompts.prompt import Prompt
from eval.runs.run_folder import read_records
from eval.statistics.one_sided import one_sided_test, sums_of_clusters
from tests.planted import plain_prompt
from tuning.objectives.judged_queries import JudgedQueries
from tuning.search.budget import Budget, Cost
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.space import Space
from tuning.search.split import plan_split, unit_numbers
from tuning.search.types import FIRST_PROMPTS, Failure, Proposal, Rules, Scores, TuningTask

DEFAULT, MEASURE = "query-base", "nDCG@10"
COLLECTIONS = ("cranfield", "cisi", "vaswani")
FLIPS, ALPHA = 2000, 0.05


class Replay:
    """An objective that looks scores up.

    Attributes:
        prompts: one stands for each wording, the default first.
        scores: (wordings, queries).
        query_ids: of the columns.
    """

    def __init__(self, scores: Scores, query_ids: Sequence[str]) -> None:
        words = ("", *(f"wording {at} " for at in range(1, len(scores))))
        self.prompts = tuple(map(plain_prompt, words))
        self.scores, self.query_ids = scores, tuple(query_ids)
        self._row = {prompt.hash: at for at, prompt in enumerate(self.prompts)}
        self._column = {query: at for at, query in enumerate(query_ids)}

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) scores."""
        rows = [self._row[prompt.hash] for prompt in prompts]
        return self.scores[np.ix_(rows, [self._column[query] for query in query_ids])]

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Count queries."""
        return Cost(tokens=len(query_ids), evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Tell of none."""
        return []


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one search.

    Attributes:
        oracle: gain of the best wording on the queries that judge.
        p: of it, adjusted for all wordings.
        gain: of what the tuner took, on the same queries; 0 where it kept the default.
        taken: whether it took something.
        finished: wordings that were raced to the end.
    """

    oracle: float
    p: float
    gain: float
    taken: bool
    finished: int


def main(arguments: list[str] | None = None) -> None:
    """Replay what is asked for, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/retrieval"))
    parser.add_argument("--only", nargs="*", default=COLLECTIONS, choices=COLLECTIONS)
    parser.add_argument("--run", default="dense", help="a channel, or fused")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--share", nargs="*", type=float, default=[1.0, 0.5])
    parser.add_argument("--block", type=int, default=Rules().block)
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    given = parser.parse_args(arguments)
    sys.stdout.write("| collection | share | taken | gap significant | recovered | finished |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    for collection in given.only:
        data = judged(given.data, collection)
        objective = Replay(*read_scores(given.runs, collection, given.run))
        for share in given.share:
            rules = [Rules(seed=seed, block=given.block) for seed in range(given.seeds)]
            seen = [replayed(objective, data, share, each) for each in rules]
            facts = summary(seen)
            record = {"name": "tuning_replay", "collection": collection, "run": given.run}
            if not given.dry:
                append({**record, "share": share, "block": given.block, **facts})
            cells = (collection, f"{share:g}", *map(shown, facts.values()))
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()


def read_scores(folder: Path, collection: str, run: str) -> tuple[Scores, list[str]]:
    """Read the scores of all wordings of a collection, the default's first."""
    rows: dict[str, Mapping[str, float]] = {}
    for place in sorted(each for each in folder.iterdir() if each.is_dir()):
        record = read_records(place).get(collection)
        if record is not None:
            rows[place.name] = record.values[run][MEASURE]
    default = rows.pop(DEFAULT)
    ids = list(default)
    return np.array([[row[query] for query in ids] for row in (default, *rows.values())]), ids


def replayed(objective: Replay, data: JudgedQueries, share: float, rules: Rules) -> Seen:
    """Search once."""
    relevant = {query: data.relevant_of(query) for query in objective.query_ids}
    default, *others = (Proposal(prompt, FIRST_PROMPTS, "") for prompt in objective.prompts)
    task = TuningTask(
        objective, relevant, Space(default.prompt), (default, *others), {}, rules,
        texts=data.queries,
    )  # fmt: skip
    plan = plan_split(relevant, rules.seed, ALPHA, data.queries)
    parts = [*plan.parts.values()]
    held = parts[-1]
    searched = len(relevant) if plan.folded else len(parts[0])
    ending = (rules.finalists + 1) * (len(relevant) - searched) or 3 * len(relevant)
    budget = Budget(tokens=round(share * (len(objective.prompts) * searched + ending)))
    outcome = tune(task, budget, Journal(None, {}))
    rows = objective([outcome.prompt, *objective.prompts], held)
    gains = rows[:1] - rows[1], rows[2:] - rows[1]
    sums = sums_of_clusters(gains[1].T, unit_numbers(relevant, held, data.queries))
    p = one_sided_test(sums, np.random.default_rng(rules.seed), FLIPS)
    means = gains[1].mean(axis=1)
    best = int(means.argmax())
    finished = sum(scored.finished for scored in outcome.scored)
    taken = outcome.prompt != default.prompt
    return Seen(float(means[best]), float(p[best]), float(gains[0].mean()), taken, finished)


def summary(seen: Sequence[Seen]) -> dict[str, float | None]:
    """Return shares of the searches, and of the gap where it is significant."""
    wide = [each for each in seen if each.p <= ALPHA]
    return {
        "taken": float(np.mean([each.taken for each in seen])),
        "significant": len(wide) / len(seen),
        "recovered": float(np.mean([each.gain / each.oracle for each in wide])) if wide else None,
        "finished": float(np.mean([each.finished for each in seen])),
    }


def shown(value: float | None) -> str:
    """Write a figure."""
    return "-" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
