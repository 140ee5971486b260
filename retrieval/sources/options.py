"""Which files of a source are read, how, and within which limits."""

from dataclasses import dataclass
from typing import Literal, get_args

from embedder.arguments import check_fields

OnError = Literal["auto", "skip", "stop"]
Links = Literal["follow", "skip"]


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read.

    Attributes:
        include: patterns as in .gitignore; of a folder or archive only files that match one.
        exclude: patterns of files and folders that are left out.
        id_field: of records, the field that holds the id; "" takes the usual names.
        title_field: the field that holds the title.
        text_field: the field that holds the text.
        hidden: read files and folders whose names begin with a dot, too.
        links: follow links to files and folders, or pass them over; a folder is read once.
        ignore_files: leave out what .gitignore and .lastwordignore name.
        on_error: what cannot be read is skipped and counted, or stops; "auto" skips it in folders
            and archives, and stops where the file was given by name.
        keep_empty: a file without text is a document, instead of being skipped or refused.
        max_megabytes: of one file that is one document, and of a member of an archive.
        seconds: of processor time that one document may take to be parsed; five times as long
            by the clock.
        memory_megabytes: that the process which parses may take.
        workers: processes that parse; 0 takes one for every core, 8 at most.

    Raises:
        TypeError: a value is of another type.
        ValueError: a number is too small, or a word is none of those above.

    >>> lw.SourceOptions(exclude=("drafts/",), hidden=True).on_error
    'auto'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    id_field: str = ""
    title_field: str = ""
    text_field: str = ""
    hidden: bool = False
    links: Links = "follow"
    ignore_files: bool = True
    on_error: OnError = "auto"
    keep_empty: bool = False
    max_megabytes: int = 100
    seconds: int = 60
    memory_megabytes: int = 2048
    workers: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        for name, words in (("on_error", OnError), ("links", Links)):
            if getattr(self, name) not in get_args(words):
                raise ValueError(
                    f"{name} is {' or '.join(get_args(words))}; got {getattr(self, name)!r}"
                )
        if min(self.max_megabytes, self.seconds, self.memory_megabytes) < 1 or self.workers < 0:
            raise ValueError("limits of megabytes and seconds are 1 or more, workers 0 or more")

    @property
    def max_bytes(self) -> int:
        """`max_megabytes` in bytes."""
        return self.max_megabytes * 1_000_000
