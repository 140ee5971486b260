"""The lock of the one writer of an index."""

import resource
from pathlib import Path

import pytest

from index.storage.lock import only_writer


def test_a_disk_too_full_to_name_the_writer_is_named_with_the_lock(tmp_path: Path) -> None:
    """Deleting from an index on a full disk said "No space left on device", and not where."""
    lock = tmp_path / "lock"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OSError, match="too large") as caught, only_writer(lock):
            pytest.fail("nothing is written without the lock")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.filename == str(lock)
    with only_writer(lock), pytest.raises(BlockingIOError, match="by process"), only_writer(lock):
        pytest.fail("the first still holds it")
