"""How much of a planted gain each proposer finds under a small budget, and how long it takes.

python -m benchmarks.tuning_planted [--only evolve ...] [--seeds 5] [--budget 150k-tokens] [--dry]

The collection is made so that three words help and a random small model reads it; `prune` starts
from a prompt that is muddled by other words. The share is (found - default) / (best - default)
over all queries, 1 being the planted words themselves. Runs hold to floors of .9 and two minutes.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.record import append
from embedder.encoders.llm import LLMEncoder
from embedder.inputs.conversation import Turn
from embedder.models.loading import LLMOptions
from tests.planted import FILLERS, PLANTED, PlantedObjective, plain_prompt
from tuning.proposers.evolve import Evolve, Phrases
from tuning.proposers.grad import Gradient
from tuning.proposers.gradients import GradientModel
from tuning.proposers.llm import Llm
from tuning.proposers.pg import Policy
from tuning.proposers.prune import Prune
from tuning.proposers.soft import Soft
from tuning.proposers.soft_vectors import SoftOptions
from tuning.proposers.tokens import Tokens
from tuning.proposers.vocabulary import Vocabulary
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.result import TuningOutcome
from tuning.search.types import MakeProposer, Proposal, Rules, TuningTask

NAMES = ("evolve", "llm", "prune", "tokens", "pg", "grad", "soft")
MUDDLED = "kelp amber jasper basalt onyx cobalt reef "
SHARE, SECONDS = 0.9, 120
SUGGESTIONS = 4


class CommonWords:
    """A chat model that answers with the words that most of the wanted texts share."""

    name = "common words"

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Suggest one, two, three and four of the commonest."""
        lines = turns[-1].text.splitlines()
        texts = [line for line in lines if line.startswith(("text: ", "wanted: "))]
        counts = Counter(word for line in texts for word in set(re.findall(r"\w+", line)[1:]))
        common = [word for word, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]
        wordings = (" ".join(common[:at]) for at in range(1, SUGGESTIONS + 1))
        return "\n".join(f"{words} {{text}} :" for words in wordings)


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", default="150k-tokens")
    parser.add_argument("--dry", action="store_true", help="append nothing to results.jsonl")
    options = parser.parse_args(arguments)
    sys.stdout.write("| proposer | share of the gain, lowest | median | seconds, longest |\n")
    sys.stdout.write("|---|---|---|---|\n")
    for name in options.only:
        found = [run_once(name, seed, options.budget) for seed in range(options.seeds)]
        record = {
            "name": "tuning_planted",
            "proposer": name,
            "budget": options.budget,
            "shares": [share for share, _ in found],
            "seconds": [seconds for _, seconds in found],
            "floors": {"share": SHARE, "seconds": SECONDS},
        }
        shares, seconds = zip(*found, strict=True)
        sys.stdout.write(
            f"| {name} | {min(shares):.3f} | {statistics.median(shares):.3f} "
            f"| {max(seconds):.1f} |\n"
        )
        sys.stdout.flush()
        if not options.dry:
            append(record)


def run_once(name: str, seed: int, budget: str) -> tuple[float, float]:
    """Tune once; return the share of the planted gain that was found, and seconds."""
    objective = PlantedObjective(seed)
    if name == "prune":
        objective.space = replace(objective.space, default=plain_prompt(MUDDLED))
    with tempfile.TemporaryDirectory() as folder:
        makers = {name: make_proposer(name, objective, Path(folder))}
        began = time.perf_counter()
        outcome = tuned(objective, makers, seed, budget)
        seconds = time.perf_counter() - began
        prompts = [objective.space.default, outcome.prompt, objective.best()]
        means = objective(prompts, list(objective.texts)).mean(axis=1).tolist()
    default, score, best = means
    return (score - default) / (best - default), seconds


def tuned(
    objective: PlantedObjective, makers: Mapping[str, MakeProposer], seed: int, budget: str
) -> TuningOutcome:
    """Tune with one proposer."""
    pool = (Proposal(objective.space.default, "pool", "default"),)
    task = TuningTask(
        objective, objective.relevant, objective.space, pool, makers, Rules(seed=seed)
    )
    return tune(task, Budget.parse(budget), Journal(None, {}))


def make_proposer(name: str, objective: PlantedObjective, folder: Path) -> MakeProposer:
    """Return a maker of a proposer by name."""
    words = Vocabulary.of(objective.backbone)
    encoder = LLMEncoder(objective.backbone, plain_prompt(), LLMOptions())
    gradients = GradientModel(encoder, objective)
    soft = SoftOptions(epochs=20, rate=0.2)
    makers: dict[str, MakeProposer] = {
        "evolve": partial(Evolve, library=Phrases((), (*PLANTED, *FILLERS[:13]))),
        "llm": partial(Llm, chat=CommonWords()),
        "prune": Prune,
        "tokens": partial(Tokens, vocabulary=words),
        "pg": partial(Policy, vocabulary=words),
        "grad": partial(Gradient, gradients=gradients, vocabulary=words),
        "soft": partial(Soft, gradients=gradients, vocabulary=words, folder=folder, options=soft),
    }
    return makers[name]


if __name__ == "__main__":
    main()
