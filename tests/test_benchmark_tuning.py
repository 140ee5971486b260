"""The table of tunings, and searches replayed on scores that are known."""

import numpy as np
import pytest

from benchmarks.tuning_replay import Replay, replayed, summary
from benchmarks.tuning_table import table_lines
from tuning.objectives.judged_queries import JudgedQueries
from tuning.search.types import Rules

GAIN = {"how": "rice", "made_by": "pool", "gain": 0.02, "bound": -0.1, "p": 0.2, "interval": None}
ROW = {
    **{"model": "m", "collection": "c", "channels": "all", "budget": "9k-tokens"},
    **{"default_ndcg10": 0.4, "oracle": GAIN | {"tried": 3}, "tested": None, "decision": None},
    **{"changed": False, "recovered": None, "tokens": 1234, "seconds": 5.4},
    **{"machine": "abacus", "cores": 2, "commit": "abc"},
}


def test_a_row_says_where_there_was_no_gap_and_no_candidate() -> None:
    row = next(line for line in table_lines([ROW]) if line.startswith("| m, c"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:5] == ["0.4000", "rice (of 2)", "+0.0200, 0.2", "-"]
    assert cells[7:] == ["no", "no gap", "1,234, 5"]


@pytest.mark.parametrize("gain", [0.0, 0.2])
def test_a_gap_is_recovered_where_there_is_one(gain: float) -> None:
    noise = np.random.default_rng(0).uniform(0.2, 0.6, (6, 120))
    noise[4] += gain
    ids = [f"q{at}" for at in range(120)]
    data = JudgedQueries({query: query for query in ids}, {query: {query: 1} for query in ids})
    facts = summary([replayed(Replay(noise, ids), data, 1.0, Rules(seed=0))])
    assert facts["taken"] == (1.0 if gain else 0.0)
    assert facts["recovered"] == (pytest.approx(1.0) if gain else None)
