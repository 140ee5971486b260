"""A search for prompts that gets killed: `python -m tests.killed_tuning JOURNAL`."""

import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.arithmetic import Arithmetic, task
from tuning.proposers import evolve, prune
from tuning.search.budget import Budget
from tuning.search.journal import Journal
from tuning.search.pipeline import tune
from tuning.search.space import key_of
from tuning.search.types import MakeProposer

LIBRARY = evolve.Phrases(("{text}", "find {text}"), ("good", "fine", "bad", "so so"))
MAKERS: dict[str, MakeProposer] = {
    "evolve": partial(evolve.Evolve, library=LIBRARY),
    "prune": prune.Prune,
}


def run(path: Path, sleep: float = 0.0) -> dict[str, object]:
    """Run the search to its end, or take it up; return prompt and cost."""
    objective = Arithmetic({"good": 0.1, "fine": 0.1, "bad": -0.1}, sleep=sleep)
    asked = task(objective, MAKERS, seed=3)
    with Journal(path, {"of": "this test"}) as journal:
        outcome = tune(asked, Budget(tokens=60_000, evaluations=7_000), journal)
    return {"prompt": key_of(outcome.prompt), "cost": asdict(outcome.spent)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run(Path(sys.argv[1]), sleep=0.002)))
