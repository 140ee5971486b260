"""Open an index for searching, with the channels, models and fusion that it says itself."""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lastword.cli.encoders import remake_encoders
from lastword.cli.options import AUTO, DeviceOptions
from lastword.cli.screen import counted

if TYPE_CHECKING:
    from index.folder import Index
    from retrieval.retriever import Retriever

DEPTH = 1000  # documents that each channel contributes to the fusion, as in TREC


@contextmanager
def open_retriever(
    path: str | Path,
    channels: Sequence[str] = (),
    fusion: str = AUTO,
    depth: int = DEPTH,
    running: DeviceOptions | None = None,
) -> "Iterator[Retriever]":
    """Open an index and make the encoders that it names; `lastword search` does the same.

    Args:
        path: folder of an index that a command made.
        channels: some of its channels; all by default.
        fusion: as a `Retriever` takes it.
        depth: documents that each channel contributes to the fusion.
        running: where models run, and which are allowed.

    Raises:
        ValueError: it is no index, has no such channel, or does not say how a channel reads.
    """
    from index.folder import Index
    from retrieval.retriever import Retriever

    with Index.open(path) as index:
        names = choose_channels(index, channels)
        recipes = {name: spec.recipe for name, spec in index.channels.items()}
        encoders = remake_encoders(recipes, names, running or DeviceOptions())
        yield Retriever(index, encoders, fusion, depth)


def choose_channels(index: "Index", asked: Sequence[str]) -> list[str]:
    """Return the channels that are asked for, all by default.

    Raises:
        ValueError: the index has no such channel, or it is asked for twice.
    """
    names = list(asked or index.channels)
    unknown = [name for name in names if name not in index.channels]
    if unknown or len(set(names)) != len(names):
        raise ValueError(
            f"--channels takes some of the index's {','.join(index.channels)}, each once; "
            f"got {','.join(names)!r}"
        )
    return names


def unfinished_text(index: "Index") -> str:
    """Say what was interrupted, with the command that finishes it; "" where nothing was."""
    work = index.unfinished
    if work is None:
        return ""
    path = shlex.quote(str(index.path))
    again = f"index SOURCE -o {path}" if work.kind == "build" else f"add {path} SOURCE"
    found = counted(index.documents, "document")
    return (
        f"{index.path} is not finished: {found} can be found so far; give the command of the "
        f"interrupted {work.kind} again, lastword {again}"
    )
