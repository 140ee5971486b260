"""Where a Lucene index lies: a folder, or a prebuilt index in pyserini's cache."""

import os
from collections.abc import Iterator
from pathlib import Path

from embedder.lucene.jvm import java_class

_ARCHIVE = ".tar.gz"


def find_lucene_folder(place: str) -> Path:
    """Return the folder of a Lucene index.

    Args:
        place: a path; or, where there is no such folder, the name of a prebuilt index of Anserini
            or pyserini, as in "beir-v1.0.0-scifact.flat".

    Raises:
        ValueError: there is neither, or several cached indexes may be meant, or the folder holds
            a pipe or a device.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        if not any(folder.glob("segments_*")):
            raise ValueError(f"{folder} holds no Lucene index: it has no file segments_N")
        for path in folder.iterdir():
            if path.exists() and not (path.is_file() or path.is_dir()):
                raise ValueError(f"{path} is no file, and reading it may never end")
        return folder
    if folder.exists() or folder.name != place:
        what = "is no folder" if folder.exists() else "is not there"
        raise ValueError(f"{place} {what}; expected the folder of a Lucene index")
    cached = list(_find_cached(place))
    if len(cached) > 1:
        names = ", ".join(path.name for path in cached)
        raise ValueError(f"{place} may be any of {names} in {_cache()}; give the path of one")
    if not cached:
        raise ValueError(
            f"{place} is no folder, and no prebuilt index in {_cache()}; where there is a network, "
            "this gets one: python -c 'from pyserini.search.lucene import LuceneSearcher; "
            f'LuceneSearcher.from_prebuilt_index("{place}")\''
        )
    return cached[0]


def _cache() -> Path:
    """Return where pyserini and Anserini keep prebuilt indexes."""
    home = os.environ.get("PYSERINI_CACHE") or "~/.cache/pyserini"
    return Path(home).expanduser() / "indexes"


def _find_cached(name: str) -> Iterator[Path]:
    """Find cached indexes by the file name that the catalogue has for a name, else by likeness.

    A folder is called as the archive that it came in, then by the digest of that.
    """
    known = java_class("io.anserini.index.prebuilt.PrebuiltIndex").get(name)
    if known is not None:
        folder = _cache() / f"{known.filename.removesuffix(_ARCHIVE)}.{known.md5}"
        if folder.is_dir():
            yield folder
            return
    folders = sorted(_cache().iterdir()) if _cache().is_dir() else []
    yield from (folder for folder in folders if f".{name}." in f".{folder.name}.")
