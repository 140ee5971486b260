"""Which file this is, and in which state, without reading it."""

import os


def identity_of(facts: os.stat_result) -> tuple[int, ...]:
    """Return what changes when a file is written or replaced."""
    return (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
