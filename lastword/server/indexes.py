"""The indexes of a server, open by name; equal encoders of several are loaded once."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from embedder.checkpoints.trust import ModelAccess
from embedder.files.name_lists import first_repeated
from index.folder import Index
from lastword.engine import SearchEngine
from retrieval.open import load_specs
from retrieval.retriever import Retriever


def open_engines(
    paths: Sequence[Path], access: ModelAccess | None = None
) -> dict[str, SearchEngine]:
    """Open indexes; the name of each is that of its folder.

    Raises:
        ValueError: two folders have one name, one is no index, or its model cannot be loaded.
    """
    names = [path.resolve().name for path in paths]
    if repeated := first_repeated(names):
        raise ValueError(
            f"two indexes are called {repeated!r}; the name of an index is that of its folder: "
            "rename one, or serve it at another port"
        )
    with ExitStack() as undo:
        indexes = [Index.open(path) for path in paths]
        for index in indexes:
            undo.callback(index.close)
        recipes = {
            f"{name}: {channel}": spec.recipe
            for name, index in zip(names, indexes, strict=True)
            for channel, spec in index.channels.items()
        }
        encoders = load_specs(recipes, access)
        engines = {
            name: SearchEngine(
                Retriever(index, {each: encoders[f"{name}: {each}"] for each in index.channels})
            )
            for name, index in zip(names, indexes, strict=True)
        }
        undo.pop_all()
        return engines
