"""Formats by name, and the two verbs: write an index in a format, make an index of one."""

from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from embedder.arguments import check_options, check_path, check_text
from embedder.progress import Progress
from index.folder import Index
from index.live_rows import DocumentBlock
from index.manifest_file import MANIFEST, read_manifest
from index.segment_builder import SegmentBuilder
from index.storage.milvus_address import refuse_milvus
from index.writer import IndexWriter
from retrieval.build import remove_unbegun
from retrieval.exchange.incoming import Incoming, split_known
from retrieval.exchange.joined_texts import with_texts
from retrieval.exchange.options import ExportOptions, ExportReport, ImportOptions, ImportReport
from retrieval.exchange.out_folder import fill_folder, refuse_replacing
from retrieval.exchange.outgoing import Outgoing

SEGMENT_DOCUMENTS = 50_000

_MODULES = {
    "jsonvector": "json_vectors",
    "faiss": "faiss_folder",
    "npz": "npz_file",
    "npy": "npy_folder",
    "parquet": "parquet_file",
    "ciff": "ciff.writing",
    "beir": "beir_folder",
}
FORMATS = tuple(_MODULES)
"""Names of the formats that are written."""

IMPORTS = tuple(name for name in FORMATS if name != "beir")
"""Names of the formats that hold rows, and are read."""

_HINT = {"beir": "; a BEIR folder holds texts alone: `lastword index FOLDER` reads it"}


def export_index(
    path: str | Path,
    to: str,
    out: str | Path,
    options: ExportOptions | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write an index in a format of other programs; memory does not grow with the collection.

    A model is loaded where terms need names, or queries are encoded.

    Args:
        path: folder of the index.
        to: one of FORMATS.
        out: folder, made where it is missing. Each file is written whole or not at all.
        options: see `ExportOptions`.
        progress: called with the number of documents so far.

    Raises:
        ValueError: no such format, the index has nothing that it holds, or there is something in
            the folder and `options.overwrite` is not set.
        OSError: the folder cannot be written, or is a link.

    >>> lw.export_index(index.path, "faiss", "for-pyserini").files
    ('for-pyserini/docid', 'for-pyserini/index')
    """
    check_path(path, "path")
    check_path(out, "out")
    check_options(options, ExportOptions)
    write = _function(to, "write", FORMATS)
    options, folder = options or ExportOptions(), Path(out)
    if options.qrels and to != "beir":
        raise ValueError(f"{to} holds no judgements; beir does")
    refuse_replacing(folder, options.overwrite)
    with Index.open(path) as index:
        if index.unfinished is not None:
            raise ValueError(f"{path} is not finished; finish it before it is exported")
        outgoing = Outgoing(index, options, progress)
        files = fill_folder(folder, lambda partial: write(outgoing, partial))
        return ExportReport(
            format=to,
            files=files,
            documents=index.documents,
            channels=tuple(outgoing.channels),
            counts={name: count for name, count in outgoing.counts.items() if count},
        )


def import_index(
    format: str,  # noqa: A002  (the word of the command)
    source: str | Path,
    path: str | Path,
    options: ImportOptions | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Make an index of the rows of another program; memory does not grow with the collection.

    Everything is looked at before it is used. The index is there when all of it is: what is
    interrupted leaves nothing.

    Args:
        format: one of IMPORTS.
        source: file or folder.
        path: folder of the index to be made.
        options: see `ImportOptions`.
        progress: called with the number of documents so far.

    Raises:
        ValueError: no such format; the source is damaged or holds something else; or there is an
            index at `path` already.
        OSError: the source cannot be read, or the index not be written.

    >>> _ = lw.export_index(index.path, "parquet", "table")
    >>> lw.import_index("parquet", "table/documents.parquet", "again.index").searched_by_text
    ('dense', 'sparse')
    >>> with lw.open("again.index") as again:
    ...     again.search("how do I rotate a key", k=1)[0].text
    'rotate the key at night'
    """
    check_path(source, "source")
    check_path(path, "path")
    check_options(options, ImportOptions)
    read = _function(format, "read", IMPORTS)
    refuse_milvus(path)
    options, path = options or ImportOptions(), Path(path)
    if not options.overwrite:
        _refuse_index(path)
    incoming = Incoming(options)
    blocks: Iterator[DocumentBlock] = read(incoming, Path(source))
    first = next(blocks, None)
    if first is None:
        raise ValueError(f"{source} holds no documents")
    blocks = chain([first], blocks)
    absent = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with TemporaryDirectory(prefix="lastword-") as folder:
            named = with_texts(blocks, options.texts, Path(folder), incoming.counts)
            total = _take(named, path, incoming, progress)
    except BaseException:
        if absent:
            remove_unbegun(absent)
        raise
    by_text, by_terms = split_known(incoming.specs)
    return ImportReport(
        format=format,
        documents=total.pop(""),
        rows=dict(total),
        counts={name: count for name, count in incoming.counts.items() if count},
        searched_by_text=by_text,
        searched_by_terms=by_terms,
    )


def _refuse_index(path: Path) -> None:
    """Refuse a folder that holds an index, finished or not: an import is never gone on with."""
    if (path / MANIFEST).exists():
        ingest = read_manifest(path).ingest
        if ingest is None or ingest.kind != "build" or ingest.consumed:
            state = "a complete" if ingest is None else "an unfinished"
            raise ValueError(
                f"{path} holds {state} index; give another folder, or have it replaced "
                "(--overwrite)"
            )


def _take(
    blocks: Iterator[DocumentBlock], path: Path, incoming: Incoming, progress: Progress | None
) -> Counter[str]:
    """Write blocks into the segments of a new index and commit once; return rows by channel.

    Documents are counted under "".
    """
    total: Counter[str] = Counter()
    new = not (path / MANIFEST).exists()
    with IndexWriter(path, incoming.specs if new else None) as writer:
        writer.start_over(incoming.specs, None)
        for block in blocks:
            builder = writer.new_segment()
            try:
                for more in chain([block], blocks):
                    _add(builder, more, total[""] + builder.documents)
                    if progress is not None:
                        progress(total[""] + builder.documents)
                    if builder.documents >= SEGMENT_DOCUMENTS:
                        break
                total += Counter(writer.add(builder).rows) + Counter({"": builder.documents})
            except BaseException:
                builder.abandon()
                raise
        writer.commit()
        writer.compact()
    return total


def _add(builder: SegmentBuilder, block: DocumentBlock, before: int) -> None:
    for number, document in enumerate(block.documents, start=before + 1):
        builder.add(document, [(0, len(document.text))], number)
    builder.check_ids()
    for channel, rows in block.rows.items():
        builder.add_rows(channel, rows, len(block.documents))


def _function(name: object, verb: str, known: tuple[str, ...]) -> Any:  # noqa: ANN401
    check_text(name, "the format")
    if name not in known:
        raise ValueError(
            f"no format is called {name!r}; there is {', '.join(known)}{_HINT.get(str(name), '')}"
        )
    return getattr(import_module(f"retrieval.exchange.{_MODULES[str(name)]}"), verb)
