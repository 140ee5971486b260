"""How an index is brought in step."""

from dataclasses import dataclass

from embedder.arguments import check_fields
from retrieval.sources.options import OnError


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How an index is brought in step.

    Attributes:
        allow_empty: a source that is not there, or holds nothing, has its documents removed.
        dry_run: change nothing, and read no text with a model.
        on_error: what becomes of what cannot be read, for the sources that are looked at from now
            on, as `SourceOptions` has it; None leaves it to what is remembered.
        forget: sources that the index follows no longer; their documents stay.
        remove: the documents of sources that are forgotten go.

    Raises:
        ValueError: documents are to go, and no source is forgotten.

    >>> lw.SyncOptions(dry_run=True).allow_empty
    False
    """

    allow_empty: bool = False
    dry_run: bool = False
    on_error: OnError | None = None
    forget: tuple[str, ...] = ()
    remove: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.remove and not self.forget:
            raise ValueError("only documents of sources that are forgotten can go with them")
