"""The index of a collection: used again where it is of the same documents, else built."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from embedder.files.config_file import read_json
from embedder.files.content_hash import content_hash
from embedder.files.json_file import write_json
from embedder.progress import Progress
from embedder.types import Encoder
from eval.data.collections import Collection
from index.documents import Document
from index.folder import Index
from index.manifest import Manifest
from index.manifest_file import MANIFEST
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.source import DocumentsDigest, SourceChangedError, documents_digest

StreamDocuments = Callable[[], Iterable[Document]]
"""Streams the documents of a source, from the start at every call."""

_DIGEST = "documents_digest"


@dataclass(frozen=True)
class IndexedDocuments:
    """An open index, and how it came about.

    Attributes:
        index: to be closed by the caller.
        digest: of the documents, in their order; see `documents_digest`.
        state: "reused" as it was; "built", perhaps to the end of an interrupted build; or
            "rebuilt", because the documents are not those that it was built of.
    """

    index: Index
    digest: str
    state: Literal["reused", "built", "rebuilt"]


def open_or_build(
    documents: StreamDocuments,
    encoders: Mapping[str, Encoder],
    path: Path,
    build: BuildOptions,
    progress: Progress | None = None,
) -> IndexedDocuments:
    """Open an index if it holds exactly these documents; else build it.

    An index that this function built, and that nobody has changed since, is rebuilt where the
    documents are others by now. Every other one is left alone and refused.

    Args:
        documents: of the source; all are read to compare them, which takes seconds a million.
        encoders: channel -> encoder.
        path: of the index; a report of the build is kept beside it.
        build: how it is built.
        progress: called with the number of documents read while it is built.

    Raises:
        ValueError: there is an index of other documents that was not built here.
    """
    build_with = partial(_build, documents, encoders, path, progress)
    if not (path / MANIFEST).exists():
        _write_report(path, {_DIGEST: None})  # so that an interrupted build is known as ours
        return build_with(build)
    index = Index.open(path)
    if index.unfinished is not None:
        index.close()
        return _finish(build_with, path, build)
    digest = documents_digest(text for text in documents() if _is_indexed(text, build))
    index_digest = documents_digest(index.stream())
    if index_digest == digest:
        return IndexedDocuments(index, digest, "reused")
    index.close()
    _check_built_here(path, index.documents, index_digest)
    return replace(build_with(replace(build, overwrite=True)), state="rebuilt")


def source_facts(collection: Collection) -> dict[str, str]:
    """Return digests of all that is judged: where one differs, figures are of other data."""
    documents = documents_digest(collection.documents())
    return {"documents": documents, "judgements": judgements_digest(collection)}


def judgements_digest(collection: Collection) -> str:
    """Return a digest of the judged queries of a collection and of their judgements."""
    return content_hash([sorted(collection.queries().items()), sorted(collection.qrels().items())])


def manifest_digest(manifest: Manifest) -> str:
    """Return a digest of the contents of an index, by the checksums of its files."""
    return content_hash([asdict(segment) for segment in manifest.segments])


def build_report(path: Path) -> dict[str, Any] | None:
    """Return the report of a build here; None where it is not known, or not of a whole build."""
    report = _read_report(path)
    return report if "counts" in report else None


def _build(
    documents: StreamDocuments,
    encoders: Mapping[str, Encoder],
    path: Path,
    progress: Progress | None,
    build: BuildOptions,
) -> IndexedDocuments:
    digest = DocumentsDigest()

    def stream_digested() -> Iterator[Document]:
        for document in documents():
            if _is_indexed(document, build):
                digest.add(document)
            yield document

    report = build_index(stream_digested(), encoders, path, build, progress)
    _write_report(path, asdict(report) | {_DIGEST: digest.hexdigest})
    return IndexedDocuments(Index.open(path), digest.hexdigest, "built")


def _finish(
    build_with: Callable[[BuildOptions], IndexedDocuments], path: Path, build: BuildOptions
) -> IndexedDocuments:
    """Go on with an interrupted build; start over where it was begun here, of other documents."""
    built_here = _report_path(path).is_file()
    try:
        return build_with(build)
    except SourceChangedError as error:
        if not built_here:
            raise ValueError(f"{path}: {error}") from error
    return replace(build_with(replace(build, resume=False)), state="rebuilt")


def _check_built_here(path: Path, count: int, digest: str) -> None:
    """Refuse an index of other documents, unless it is as it was built here."""
    # None: the build was not seen to its end. Without a report, the index was not built here.
    if _read_report(path).get(_DIGEST, "") not in (digest, None):
        raise ValueError(
            f"{path} is not an index of these documents: the {count:,} that it holds are others, "
            "and it was not made here or was changed since; give another folder, or remove it"
        )


def _is_indexed(document: Document, build: BuildOptions) -> bool:
    return bool(document.content) or build.on_empty == "keep"


def _read_report(path: Path) -> dict[str, Any]:
    report_path = _report_path(path)
    report = read_json(report_path) if report_path.is_file() else {}
    return report if isinstance(report, dict) else {}


def _write_report(path: Path, facts: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(_report_path(path), facts)


def _report_path(index: Path) -> Path:
    return index.with_name(f"{index.name}.build.json")
