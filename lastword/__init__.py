"""The front door: command line and demo; from Python, `open_retriever`."""

from typing import TYPE_CHECKING

from lastword.shadowing import load_own_packages

load_own_packages()

if TYPE_CHECKING:
    from retrieval.open import open_retriever

__all__ = ["open_retriever"]


def __getattr__(name: str) -> object:
    """Import what is asked for only then: `lastword --help` stays light."""
    if name == "open_retriever":
        from retrieval.open import open_retriever

        return open_retriever
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
