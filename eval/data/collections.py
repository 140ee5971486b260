"""Collections to search and judge: their protocol, and how they are opened by path or name."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from embedder.files.name_lists import first_repeated, suggest_names
from eval.data.beir import BEIR, CQADUPSTACK, CQADUPSTACK_PARTS
from eval.data.downloads import NANO, BeirDownload, is_download, nano_names, open_download
from eval.data.judged import FolderParts, JudgedFolder, find_parts
from eval.data.local import BeirFolder, TextFolder, is_beir_folder
from eval.data.qrels import Qrels
from eval.data.zips import BeirZip, is_beir_zip
from index.documents import Document
from retrieval.sources.kinds import has_known_suffix


class Collection(Protocol):
    """Documents, and perhaps queries with judgements; each call reads from the source anew."""

    @property
    def name(self) -> str:
        """The name of its results, e.g. "scifact", or "scifact/train" for another split."""
        ...

    def documents(self) -> Iterator[Document]:
        """Stream the documents in the source's order, each id once."""
        ...

    def queries(self) -> dict[str, str]:
        """Return the texts of the judged queries; ValueError where there are none."""
        ...

    def qrels(self) -> Qrels:
        """Return the judgements of the split; ValueError where there are none."""
        ...


def open_collections(sources: Iterable[str | Path], split: str | None = None) -> list[Collection]:
    """Open sources in their order; CQADupStack, by name or as a folder, becomes its twelve parts.

    NanoBEIR by name becomes its thirteen collections.

    Raises:
        ValueError: as `open_collection`, a local CQADupStack lacks a part, or two collections
            would be filed under one name.
    """
    collections = [collection for source in sources for collection in _open_parts(source, split)]
    names = [collection.name for collection in collections]
    if (repeated := first_repeated(names)) is not None:
        raise ValueError(f"two of the data sets are called {repeated!r}; rename a folder")
    return collections


def open_collection(source: str | Path, split: str | None = None) -> Collection:
    """Find a collection by path or by name; a path that exists comes first.

    Args:
        source: a BEIR folder, or .zip of one, another folder, a file, a BEIR name like "scifact",
            "cqadupstack/tex" or "beir/scifact", an id of ir_datasets like
            "ir:msmarco-passage/trec-dl-2019/judged", or "nanobeir/scifact".
        split: which judgements; by default "test", or for a BEIR set the split whose figures
            are published, or what an id names.

    Raises:
        OSError: a path that leads nowhere, or cannot be read.
        ValueError: neither a path nor a name, a set without download, or a split that the named
            set lacks.
    """
    path = Path(source)
    if parts := judged_parts(path):
        return JudgedFolder(path, parts, split)
    if is_beir_folder(path):
        return _open_folder(path, split)
    if is_beir_zip(path):
        return BeirZip(path, split)
    if os.path.lexists(path) or is_written_as_path(str(source)):
        return TextFolder(path)
    if nano_names(str(source)):
        raise ValueError(f"{NANO} is thirteen collections; name one, e.g. nanobeir/scifact")
    if is_download(str(source)):
        return open_download(str(source), split)
    name = _beir_name(source)
    if name in BEIR:
        return BeirDownload(BEIR[name], split)
    if name == CQADUPSTACK:
        raise ValueError(
            f"{CQADUPSTACK} is twelve collections, judged one by one; "
            f"name one, e.g. {CQADUPSTACK_PARTS[0]}"
        )
    hint = suggest_names(name, list(BEIR), f"the names are {', '.join(BEIR)}")
    raise ValueError(f"{str(source)!r} is neither a path here nor a BEIR name; {hint}")


def judged_parts(path: Path) -> FolderParts | None:
    """Find queries and judgements of a folder that has another layout than BEIR's."""
    if not path.is_dir() or (is_beir_folder(path) and os.path.lexists(path / "qrels")):
        return None
    return find_parts(path)


def is_written_as_path(source: str) -> bool:
    """Tell whether something that is not there was meant as a file or folder, not as a name."""
    if is_download(source):
        return False
    first, slash, _ = source.partition("/")
    return has_known_suffix(source) or bool(slash and first not in ("beir", CQADUPSTACK))


def _beir_name(source: str | Path) -> str:
    return str(source).removeprefix("beir/")


def _open_parts(source: str | Path, split: str | None) -> list[Collection]:
    path = Path(source)
    if not path.exists():
        parts = CQADUPSTACK_PARTS if _beir_name(source) == CQADUPSTACK else nano_names(str(source))
        names = parts or (source,)
        return [open_collection(name, split) for name in names]
    if path.resolve().name != CQADUPSTACK or not path.is_dir():
        return [open_collection(path, split)]
    opened: list[Collection] = []
    for name in CQADUPSTACK_PARTS:
        folder = path / name.rpartition("/")[2]
        if not is_beir_folder(folder):
            raise ValueError(
                f"{path} lacks {folder.name}/corpus.jsonl: its figure is the mean of twelve "
                "parts; give the folders of single parts to judge those alone"
            )
        opened.append(_open_folder(folder, split))
    return opened


def _open_folder(path: Path, split: str | None) -> BeirFolder:
    """Open a folder; one of CQADupStack's is called as BEIR calls it, "cqadupstack/tex"."""
    folder = BeirFolder(path, split)
    if path.resolve().parent.name == CQADUPSTACK:
        folder.name = f"{CQADUPSTACK}/{folder.name}"
    return folder
