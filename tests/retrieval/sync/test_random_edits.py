"""After any edits, and kills among them, an index in step is a fresh index of the same files."""

from pathlib import Path

import numpy as np
import pytest

from tests.synced import (
    ChangingFolder,
    build,
    documents_of,
    expected_texts,
    held,
    killed_sync,
    run_of,
    sync,
)


@pytest.mark.parametrize("seed", range(3))
def test_an_index_in_step_is_a_fresh_index(tmp_path: Path, seed: int) -> None:
    folder = ChangingFolder(tmp_path / "files", np.random.default_rng(seed))
    folder.fill(30)
    index = tmp_path / "index"
    build(folder.path, index)
    for _ in range(6):
        folder.edit(15)
        before = held(index)
        report = sync(index)
        assert report.encoded == expected_texts(before, folder.texts())
        assert held(index) == folder.texts()
    assert not sync(index).differs
    build(folder.path, tmp_path / "fresh")
    assert documents_of(index) == documents_of(tmp_path / "fresh")
    assert run_of(index) == run_of(tmp_path / "fresh")


def test_a_killed_sync_leaves_the_last_commit_and_the_next_one_ends_the_work(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(7)
    folder = ChangingFolder(tmp_path / "files", rng)
    folder.fill(40)
    index = tmp_path / "index"
    build(folder.path, index)
    for _ in range(3):
        folder.edit(60)
        before = held(index)
        assert killed_sync(folder, index, float(rng.uniform(0, 0.3))) == []
        left = held(index)
        report = sync(index)
        assert report.encoded == expected_texts(left, folder.texts())
        assert left in (before, folder.texts())
    assert held(index) == folder.texts()
