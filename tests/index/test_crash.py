"""Kill -9 at random moments: the last commit stands, and resuming ends as if nothing happened.

`python -m benchmarks.crash` does many more.
"""

from pathlib import Path

import numpy as np
import pytest

from embedder.lucene.jvm import INSTALL
from index.manifest import Engine
from tests.killed import WORKS, Work, finished, kill


@pytest.mark.parametrize(
    ("work", "engine"), [*((work, "native") for work in WORKS), ("merge", "lucene")]
)
def test_an_index_survives_being_killed(tmp_path: Path, work: Work, engine: Engine) -> None:
    if engine == "lucene":
        pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")
    rng = np.random.default_rng()  # another moment each time; every one of them must hold
    whole = finished(work, tmp_path / "whole", engine)
    for attempt in range(2 if (work, engine) == ("build", "native") else 1):
        found = kill(work, tmp_path / f"i{attempt}", whole, rng, engine)
        assert found.problems == (), found
