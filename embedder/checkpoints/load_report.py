"""What transformers reports of weights that were missing, where another library calls it."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = "transformers.modeling_utils"
_ROW = re.compile(r"^(\S.*?)\s*\|\s*(MISSING|MISMATCH)\b", re.MULTILINE)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_UNREAD = re.compile(r"(^|\.)(pooler|contact_head)\.")  # pooling is sentence-transformers' own


@contextmanager
def complete_weights(place: str, unread: re.Pattern[str] = _UNREAD) -> Iterator[None]:
    """Refuse models that are loaded meanwhile with weights that are missing and so random.

    Args:
        place: what errors begin with.
        unread: names of weights that no answer depends on.

    Raises:
        ValueError: names the first weight; begins with the place.
    """
    logger, reports = logging.getLogger(_LOGGER), _Reports(unread)
    level = logger.level
    logger.setLevel(logging.WARNING)
    logger.addFilter(reports)
    try:
        yield
    finally:
        logger.removeFilter(reports)
        logger.setLevel(level)
    if reports.names:
        more = len(reports.names) - 1
        raise ValueError(
            f"{place}: weight {reports.names[0]} is missing or of another shape"
            f"{f' (and {more} more)' if more else ''} and would be random; the download is "
            "incomplete, or config.json is of another architecture"
        )


class _Reports(logging.Filter):
    """Keeps load reports to itself, and the names of weights that they miss."""

    def __init__(self, unread: re.Pattern[str]) -> None:
        super().__init__()
        self.unread = unread
        self.names: list[str] = []

    def filter(self, record: logging.LogRecord) -> bool:
        message = _STYLE.sub("", record.getMessage())
        self.names += [name for name, _ in _ROW.findall(message) if not self.unread.search(name)]
        return record.levelno > logging.WARNING
