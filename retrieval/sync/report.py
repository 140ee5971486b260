"""What bringing an index in step did, or would do."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What became of documents when an index was brought in step with its sources.

    Attributes:
        new: ids of documents that were not there.
        changed: ids of documents whose title, text or metadata is another.
        moved: (old id, new id) of documents that are the same under another id.
        removed: ids of documents that the sources do not have any more.
        unchanged: number of documents that stay as they are.
        failed: (name, reason) of what could not be read; what the index has of it stays.
        encoded: texts that the encoders read; 0 where `dry_run`.
        reused: how many of them an interrupted run had encoded before.
        copied: documents whose rows were copied, since their texts were there already.
        passed_over: kind -> number of what is not read, see `retrieval.sources.items.SKIPPED`.
        forgotten: (path, number of its documents) of sources that are followed no longer.
        counts: channel -> counts of its encoder, as `BuildReport` has them.
        dry_run: nothing was changed.
        seconds: wall time.

    >>> report = index.sync("notes", options=lw.SyncOptions(dry_run=True))
    >>> report.new, report.differs, report.encoded
    (('keys.md', 'tea.txt'), True, 0)
    """

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    encoded: int = 0
    reused: int = 0
    copied: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)
    forgotten: tuple[tuple[str, int], ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dry_run: bool = False
    seconds: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.unchanged, self.encoded, self.reused, self.copied, self.seconds)
        if min(numbers) < 0:
            raise ValueError(f"nothing can be done less than 0 times; got {numbers}")

    @property
    def differs(self) -> bool:
        """Whether the index was, or is, out of step."""
        return bool(self.new or self.changed or self.moved or self.removed)
