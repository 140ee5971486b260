"""Keep an index in step with files, whether it is open or not."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from embedder.arguments import check_options, check_path
from embedder.checkpoints.trust import ModelAccess
from embedder.types import Encoder
from index.folder import Index
from retrieval.sources.ledger import KnownSource
from retrieval.sources.options import SourceOptions
from retrieval.sync.options import SyncOptions
from retrieval.sync.report import SyncReport
from retrieval.sync.synchronise import sync_index

Sources = str | Path | Iterable[str | Path]


def sync_folder(
    path: str | Path,
    sources: Sources = (),
    files: SourceOptions | None = None,
    options: SyncOptions | None = None,
    access: ModelAccess | None = None,
) -> SyncReport:
    """Bring an index in step with files and folders: what is new, changed, moved or gone.

    Args:
        path: folder of the index.
        sources: files, folders and patterns, which the index remembers; none of them is all that
            it remembers, as those that it was built from by a path.
        files: how new sources are read; None is as remembered, or the usual.
        options: see `SyncOptions`.
        access: where models run, and which are allowed.

    Raises:
        ValueError: see `retrieval.sync.synchronise.sync_index`.
        OSError: a source cannot be read; the index stands as it was.

    >>> _ = lw.build("notes.index", "notes", model="bm25")
    >>> lw.sync("notes.index").unchanged
    2
    """
    check_path(path, "path")

    def load() -> Mapping[str, Encoder]:
        from retrieval.open import load_encoders

        with Index.open(path) as index:
            return load_encoders(index, access=access)

    return sync_known(path, sources, files, load, options)


def sync_known(
    path: str | Path,
    sources: Sources,
    files: SourceOptions | None,
    encoders: Callable[[], Mapping[str, Encoder]],
    options: SyncOptions | None,
) -> SyncReport:
    """Do what `sync_folder` does, with encoders that somebody else gives."""
    check_options(files, SourceOptions, "files")
    check_options(options, SyncOptions)
    return sync_index(path, name_sources(sources, files), encoders, options)


def name_sources(sources: Sources, files: SourceOptions | None = None) -> list[KnownSource]:
    """Return sources as an index remembers them.

    Raises:
        TypeError: one is no path.
        ValueError: one is a data set with queries, which is not kept in step.
    """
    from eval.data.local import is_beir_folder

    known = []
    for source in [sources] if isinstance(sources, str | Path) else sources:
        check_path(source, "a source")
        if is_beir_folder(Path(source)):
            raise ValueError(
                f"{source} is a data set in the layout of BEIR, which is not kept in step; "
                "lastword add adds its documents"
            )
        known.append(KnownSource.of(source, files))
    return known
