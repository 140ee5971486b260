"""What a search without judgements goes by: it is tried first, and asked again at the end."""

from collections.abc import Callable
from typing import Any, Protocol

from tuning.search.budget import Cost, Meter


class RefusedSignalError(ValueError):
    """A signal is not worth following, or could not be tried: no search began."""


class Signal(Protocol):
    """What a search without judgements goes by, which is tried before it."""

    @property
    def name(self) -> str:
        """What it is, for people."""
        ...

    @property
    def measure(self) -> str:
        """What prompts are scored by, for people."""
        ...

    def texts(self) -> int:
        """Return how many texts are read to try it, at most."""
        ...

    def check(self, once: Callable[[str, Any, Cost, Callable[[], Any]], Any], meter: Meter) -> None:
        """Try it, and charge that to the meter, through `once` (see `Journal.once`).

        Raises:
            RefusedSignalError: it is not worth following, or the budget does not pay for trying.
        """
        ...

    def most(self) -> Cost:
        """Return what trying it takes at most, without trying it."""
        ...

    def doubt(self, wins: int, losses: int) -> str:
        """Say why queries that were won and lost to the default are no claim; "" where they are."""
        ...

    def describe(self) -> str:
        """Say in a line what it is, and what trying it told."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return what trying it told."""
        ...
