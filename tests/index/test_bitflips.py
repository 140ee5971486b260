"""One flipped bit anywhere in an index: check notices, and no search crashes.

`python -m benchmarks.fuzz --only bitflips` does many more.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fuzz_bitflips import INDEX, flip, make_index, search
from index.folder import check


@pytest.mark.parametrize("factory", ["int8", "HNSW16", "IVF8,PQ8x4fs,RFlat"])
def test_a_flipped_bit_is_noticed_and_crashes_nothing(tmp_path: Path, factory: str) -> None:
    base = make_index(tmp_path / "base", factory)
    assert check(base / INDEX) == []
    for number in range(25):
        path, data = flip(base / INDEX, np.random.default_rng([7, number]))
        spoilt = tmp_path / str(number)
        shutil.copytree(base, spoilt)
        (spoilt / path.relative_to(base)).write_bytes(data)
        assert len(check(spoilt / INDEX)) == 1, path
        for compiled in (False, True):
            search(spoilt / INDEX, compiled)
        shutil.rmtree(spoilt)
