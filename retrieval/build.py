"""Make an index of documents, or add documents to one; interrupted work continues."""

import os
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from embedder.encoders.specs import post_rules_of
from embedder.progress import Progress
from embedder.prompts.method_rules import MIN_SAMPLE
from embedder.types import Encoder, fingerprint_differences
from index.documents import Document, Passages
from index.folder import Index
from index.manifest import Ingest
from index.manifest_file import MANIFEST, read_manifest
from index.storage.milvus_address import refuse_milvus
from index.writer import CACHE, IndexWriter
from retrieval.ingestion import Ingestion
from retrieval.options import BuildOptions, BuildReport, ChannelOptions
from retrieval.passages.held import held_texts
from retrieval.passages.rule import AUTO, choose_passages
from retrieval.source import EMPTY_DIGEST, DocumentReader, RemembersSources


def build_index(
    documents: Iterable[Document],
    encoders: Mapping[str, Encoder],
    path: str | Path,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Make an index; an interrupted build is continued by the same call.

    It then ends with the same files as an uninterrupted one. Memory grows with the rows of one
    segment, not with the texts.

    Args:
        documents: streamed; read from the start also when continuing.
        encoders: channel -> encoder; channels with the same object are encoded in one pass.
        path: folder; missing, empty, or with an unfinished build.
        options: see `BuildOptions`.
        progress: called with the number of documents read so far.

    Raises:
        ValueError: there is a complete index at `path` and `options.overwrite` is not set; an id
            comes twice; a document is empty and may not be; there are no documents; or the
            source, the encoders or the options are others than those of the build to be continued.
        BlockingIOError: another writer is at work.
        OSError: the disk is full or cannot be written; the last commit stands.
    """
    path = Path(path)
    absent = [folder for folder in (path, *path.parents) if not os.path.lexists(folder)]
    try:
        return _build(documents, encoders, path, options or BuildOptions(), progress)
    except BaseException:  # Ctrl-C among them
        if absent:
            remove_unbegun(absent)
        raise


def refuse_complete(path: str | Path) -> None:
    """Refuse a folder that holds a complete index, before a model is loaded for another one.

    Raises:
        ValueError: it does, or is none, but names a collection of Milvus.
    """
    refuse_milvus(path)
    if not (Path(path) / MANIFEST).exists():
        return
    ingest = read_manifest(Path(path)).ingest
    if ingest is None or ingest.kind != "build":
        raise ValueError(
            f"{path} holds a complete index; add documents to it, or build in another folder"
        )


def _build(
    documents: Iterable[Document],
    encoders: Mapping[str, Encoder],
    path: Path,
    options: BuildOptions,
    progress: Progress | None,
) -> BuildReport:
    started = time.perf_counter()
    specs = [options.channel(name).spec(name, encoder) for name, encoder in encoders.items()]
    if isinstance(documents, RemembersSources):
        documents.remember()
    source = DocumentReader.begun(documents)  # before there is a folder
    new = not (path / MANIFEST).exists()
    with IndexWriter(path, specs if new else None) as writer:
        ingest = writer.manifest.ingest
        complete = not new and (ingest is None or ingest.kind != "build")
        if complete and not options.overwrite:
            refuse_complete(path)
        passages = choose_passages(options.passages, options.overlap, encoders)
        done = Ingest("build", options.settings(passages), EMPTY_DIGEST)
        if complete or ingest is None or ingest.consumed == 0 or not options.resume:
            writer.start_over(specs, passages)
            writer.record(done)
            if not complete:  # else the old index answers until the new one is whole
                writer.commit()
        else:
            check_encoders(writer, encoders)
            _check_engines(writer, options)
            done = _continued(ingest, done)
        ingestion = Ingestion(writer, encoders, options, progress, at_once=complete)
        remember = partial(_stage_sources, writer, documents)
        total = ingestion.run(source, done, passages, remember)
        writer.compact()
    seconds = time.perf_counter() - started
    return BuildReport.of(total, passages, done.consumed, seconds, ingestion.worker_reports())


def _stage_sources(writer: IndexWriter, documents: Iterable[Document]) -> None:
    """Stage where documents came from, where they say so."""
    ledger = documents.ledger() if isinstance(documents, RemembersSources) else None
    writer.remember_sources(None if ledger is None else ledger.to_bytes())


def remove_unbegun(folders: Sequence[Path]) -> None:
    """Remove folders that a failed build made, unless documents or encoded rows are in them.

    Args:
        folders: that of the index, then those around it that were made for it.
    """
    path, *parents = folders
    if (path / MANIFEST).exists():
        ingest = read_manifest(path).ingest
        if ingest is None or ingest.consumed:
            return
    if not any(file.is_file() for file in (path / CACHE).rglob("*")):
        shutil.rmtree(path, ignore_errors=True)
        with suppress(OSError):  # something else is in it by now
            for parent in parents:
                parent.rmdir()


def add_documents(
    documents: Iterable[Document],
    encoders: Mapping[str, Encoder],
    path: str | Path,
    options: BuildOptions | None = None,
    progress: Progress | None = None,
) -> BuildReport:
    """Add documents to an index; an interrupted addition is continued by the same call.

    Arguments, errors and memory are those of `build_index`. The encoders must be those of the
    index, all of them; `options.channels` is not read, and documents are cut as those of the
    index were.
    """
    started = time.perf_counter()
    options = options or BuildOptions()
    source = DocumentReader.begun(documents)
    with IndexWriter(path) as writer:
        ingest = writer.manifest.ingest
        if ingest is not None and ingest.kind == "build":
            raise ValueError(
                f"building {path} was interrupted after {ingest.consumed} documents; "
                "finish that before adding to it"
            )
        check_encoders(writer, encoders)
        passages = writer.manifest.passages
        _check_passages(path, passages, options, encoders)
        done = Ingest("add", options.settings(passages), EMPTY_DIGEST)
        if ingest is not None and options.resume:
            done = _continued(ingest, done)
        ingestion = Ingestion(writer, encoders, options, progress)
        total = ingestion.run(source, done, passages)
        writer.compact()
    seconds = time.perf_counter() - started
    return BuildReport.of(total, passages, done.consumed, seconds, ingestion.worker_reports())


def refit_index(
    path: str | Path, encoders: Mapping[str, Encoder], progress: Progress | None = None
) -> BuildReport:
    """Fit the post-processing of an index anew, to the documents that it has by now.

    All of them are encoded again, since what is held is processed already. The index answers as
    it was until that is done.

    Args:
        path: folder of an index.
        encoders: those of the index, all of them.
        progress: called with the number of documents read so far.

    Raises:
        ValueError: no prompt of the encoders has [post], or the index is not finished or too small.
    """
    started = time.perf_counter()
    if not any(post_rules_of(encoder) for encoder in encoders.values()):
        raise ValueError(f"no prompt of {path} has [post]: there is nothing to fit anew")
    with IndexWriter(path) as writer, Index.open(path) as index:  # nobody changes it meanwhile
        if index.unfinished is not None:
            raise ValueError(f"{path} is not finished; finish it before fitting it anew")
        check_encoders(writer, encoders)
        if (count := _count_texts(index, MIN_SAMPLE)) < MIN_SAMPLE:
            raise ValueError(
                f"{path} has {count} texts, and [post] is fitted to at least {MIN_SAMPLE}; "
                "add some before fitting it anew"
            )
        kept = {name: ChannelOptions.of(spec) for name, spec in index.channels.items()}
        options = BuildOptions(kept, on_empty="keep", cache=True)
        specs = [options.channel(name).spec(name, encoder) for name, encoder in encoders.items()]
        writer.start_over(specs, index.passages)
        writer.fuse_by(index.manifest.fusion)
        done = Ingest("build", options.settings(index.passages), EMPTY_DIGEST)
        source = DocumentReader.begun(index.stream())
        ingestion = Ingestion(writer, encoders, options, progress, at_once=True)
        total = ingestion.run(source, done, index.passages)
        writer.compact()
    return BuildReport.of(total, index.passages, 0, time.perf_counter() - started)


def _count_texts(index: Index, most: int) -> int:
    """Count the texts of an index that are not blank, as far as `most`."""
    return sum(1 for _ in islice(filter(str.strip, held_texts(index)), most))


def _continued(interrupted: Ingest, begun: Ingest) -> Ingest:
    lines = fingerprint_differences(interrupted.settings, begun.settings)
    if lines:
        raise ValueError(
            f"the interrupted {interrupted.kind} ran with other options:\n  "
            + "\n  ".join(line.replace("encoder has", "now it is") for line in lines)
            + "\nrepeat them to continue, or start over"
        )
    return interrupted


def check_encoders(writer: IndexWriter, encoders: Mapping[str, Encoder]) -> None:
    """Refuse encoders that are not those of an index, all of them.

    Raises:
        ValueError: names the channel and what differs.
    """
    channels = writer.manifest.channels
    if encoders.keys() != channels.keys():
        raise ValueError(
            f"{writer.path} has channels {', '.join(channels)}; "
            f"encoders were given for {', '.join(encoders) or 'none'}"
        )
    for name, encoder in encoders.items():
        channels[name].check_encoder(encoder.fingerprint, querying=False)


def _check_passages(
    path: str | Path, rule: Passages | None, options: BuildOptions, encoders: Mapping[str, Encoder]
) -> None:
    """Refuse to add documents by another rule than the index has; "auto" is its own."""
    if options.passages in (AUTO, None) and options.overlap is None:
        return
    asked = choose_passages(options.passages, options.overlap, encoders)
    if asked != rule:
        has, got = (each.describe() if each else "whole documents" for each in (rule, asked))
        raise ValueError(f"{path} has {has}, and documents are added alike; got {got}")


def _check_engines(writer: IndexWriter, options: BuildOptions) -> None:
    """Refuse to go on with a build by another engine, weighting or dtype than it began with."""
    for name, spec in writer.manifest.channels.items():
        given = options.channel(name)
        if (given.engine, given.weighting) != (spec.engine, spec.weighting):
            raise ValueError(
                f"the interrupted build of {writer.path} keeps channel {name!r} by engine "
                f"{spec.engine}, {spec.weighting}; now it is {given.engine}, {given.weighting}; "
                "repeat its options to continue, or start over"
            )
        if given.dtype != spec.dtype:
            raise ValueError(
                f"the interrupted build of {writer.path} keeps channel {name!r} as {spec.dtype}; "
                f"now it is {given.dtype}; repeat its options to continue, or start over"
            )
