"""Kill -9 at random moments: the last commit stands, and resuming ends as if nothing happened.

`python -m benchmarks.crash` does many more.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.killed import WORKS, Work, finished, kill


@pytest.mark.parametrize("work", WORKS)
def test_an_index_survives_being_killed(tmp_path: Path, work: Work) -> None:
    rng = np.random.default_rng()  # another moment each time; every one of them must hold
    whole = finished(work, tmp_path / "whole")
    for attempt in range(2 if work == "build" else 1):
        found = kill(work, tmp_path / f"i{attempt}", whole, rng)
        assert found.problems == (), found
