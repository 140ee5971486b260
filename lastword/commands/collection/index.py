"""The commands that make an index and add to it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import channel_names, describe_encoders, make_encoders, word_remarks
from lastword.cli.engines import EngineOptions
from lastword.cli.options import DenseDtypeOption, DeviceOptions, EncoderOptions, IndexPath, Output
from lastword.cli.reading import FileOptions, SourceArguments, skipped_facts, tell_skipped
from lastword.cli.screen import Screen, counted, duration, shell
from lastword.cli.sources import look_through
from lastword.commands.collection.cluster import ClusterOptions, tell_workers

if TYPE_CHECKING:
    from index.documents import Passages
    from retrieval.options import BuildOptions, BuildReport, ChannelOptions

app = Typer()


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """What happens to documents without text, and after an interruption."""

    on_empty: Annotated[
        Literal["error", "skip", "keep"],
        Option(
            help="A file that was named, or a record of one, without text is refused (error), "
            "left out or kept. In folders and archives error leaves it out, too."
        ),
    ] = "error"
    restart: Annotated[
        bool, Option("--restart", help="Forget an interrupted run instead of going on with it.")
    ] = False


@dataclass(frozen=True, slots=True)
class StorageOptions(IntakeOptions):
    """How a new index takes documents in, cuts them and keeps their dense rows."""

    factory: Annotated[
        str, Option(help='FAISS factory of the dense channel: "Flat" is exact; or "HNSW32", ...')
    ] = "Flat"
    dense_dtype: DenseDtypeOption = "float32"
    passages: Annotated[
        str,
        Option(
            help="How long documents are cut into passages, of which the best one counts: auto "
            "(what is longer than the model reads), off, headings, words:N or tokens:N.",
        ),
    ] = "auto"
    overlap: Annotated[
        int | None,
        Option(
            min=0,
            help="Words or tokens that neighbouring passages share at most; by default an eighth.",
        ),
    ] = None
    passage_words: Annotated[int, Option(min=0, hidden=True)] = 0  # how passages were once cut
    overlap_words: Annotated[int, Option(min=0, hidden=True)] = 0
    free_query_prompt: Annotated[
        bool,
        Option("--free-query-prompt", help="Let `lastword tune --apply` change the query prompt."),
    ] = False


@command(
    app,
    [
        "lastword index docs/ -o my.index",
        "lastword index notes/ mail.mbox 'papers/*.pdf' -o my.index --exclude drafts/ --verbose",
        "zcat dump.jsonl.gz | lastword index - -o my.index --id key --text body",
        "lastword index corpus.jsonl -o my.index --model Qwen/Qwen3-0.6B",
        "lastword index corpus.jsonl -o my.index --dense-dtype int8",
        "lastword index scifact -o scifact.index --channels bm25",
        "lastword index docs/ -o my.index --embedder sbert:all-MiniLM-L6-v2",
        "lastword index docs/ -o my.index --embedder tei:http://127.0.0.1:8080",
        "lastword index docs/ -o my.index --channels bm25 --bm25 lucene --language de",
        "lastword index docs/ -o my.index --language de,en --fields 'title^2,text'",
        "lastword index corpus.jsonl -o my.index --model Qwen/Qwen3-0.6B --dtype bfloat16 "
        "--ray 10.0.0.5:6379 --gpus-per-worker 1",
    ],
)
def index(
    sources: SourceArguments,
    out: Annotated[Path, Option("--out", "-o", metavar="INDEX", help="Folder to make.")],
    reading: EncoderOptions,
    engines: EngineOptions,
    storing: StorageOptions,
    files: FileOptions,
    clustering: ClusterOptions,
    output: Output,
) -> None:
    """Make an index of documents: files, folders, archives, or a BEIR data set.

    Read are text, source code, Markdown, reStructuredText, HTML, PDF, Word (.docx), EPUB, mail,
    CSV, TSV, JSON, JSON lines and Parquet, also packed (.gz, .bz2, .xz, .zst) and in .zip and .tar
    archives. What cannot be read is skipped and counted.

    An interrupted run goes on where it stopped when the same command is given again.
    """
    from eval.data.sources import open_sources
    from retrieval.build import build_index, refuse_complete

    refuse_complete(out)
    _asked_passages(storing)  # a wrong one is told before a model is loaded
    ray = clustering.ray_options(reading)
    screen = Screen(output)
    collection = open_sources(sources, files.source_options(storing.on_empty))
    quick = channel_names(reading.channels) == ["bm25"] and storing.on_empty != "keep"
    survey = look_through(collection, screen, storing.on_empty, quick=quick)
    with screen.loading(reading.channels):
        texts = (document.content for document in collection.documents())
        encoders = make_encoders(reading, texts, engines)
    options = replace(_build_options(storing, engines.channels(list(encoders))), ray=ray)
    with screen.progress("Indexing", survey.documents, "documents") as advance:
        try:
            report = build_index(collection, encoders, out, options, advance)
        except ValueError:
            if quick:  # which knows no lines; of an empty document a look through names it
                look_through(collection, screen, storing.on_empty)
            raise
    _tell(screen, out, report, skipped_facts(collection))
    tell_skipped(collection, screen, files.verbose)
    survey.tell(screen)
    tell_workers(report.workers, screen)
    screen.remark(f"Encoder: {describe_encoders(encoders)}.")
    screen.remark(f'Next: {shell("lastword", "search", out)} "your question"')


@command(
    app,
    [
        "lastword add my.index more-docs/",
        "lastword add my.index new.jsonl --on-empty skip",
        "lastword add my.index changed.jsonl --replace",
    ],
)
def add(
    path: IndexPath,
    sources: SourceArguments,
    intake: IntakeOptions,
    files: FileOptions,
    running: DeviceOptions,
    output: Output,
    replace_known: Annotated[
        bool,
        Option("--replace", help="Replace documents whose ids the index has, instead of refusing."),
    ] = False,
) -> None:
    """Add documents to an index, with the encoders that made it.

    To keep an index in step with files that change, see `lastword sync`.
    """
    from eval.data.sources import open_sources
    from index.folder import Index
    from retrieval.build import add_documents
    from retrieval.open import load_specs
    from retrieval.options import BuildOptions

    with Index.open(path) as opened:
        specs = {name: spec.recipe for name, spec in opened.channels.items()}
    screen = Screen(output)
    collection = open_sources(sources, files.source_options(intake.on_empty))
    survey = look_through(collection, screen, intake.on_empty)
    with screen.loading(",".join(specs)):
        encoders = load_specs(specs, running)
    options = BuildOptions(
        on_empty=intake.on_empty,
        on_known="replace" if replace_known else "error",
        resume=not intake.restart,
        cache=True,
    )
    with screen.progress("Adding", survey.documents, "documents") as advance:
        report = add_documents(collection.documents(), encoders, path, options, advance)
    _tell(screen, path, report, skipped_facts(collection))
    tell_skipped(collection, screen, files.verbose)
    survey.tell(screen)


def _build_options(
    storing: StorageOptions, channels: "dict[str, ChannelOptions]"
) -> "BuildOptions":
    from retrieval.options import BuildOptions

    if "dense" in channels:
        factory, dtype = storing.factory, storing.dense_dtype
        channels["dense"] = replace(channels["dense"], factory=factory, dtype=dtype)
    elif storing.dense_dtype != "float32":
        raise ValueError(f"--dense-dtype is of a dense channel; got {','.join(channels)} alone")
    if storing.free_query_prompt:
        channels = {
            name: replace(options, query_prompt_free=True) for name, options in channels.items()
        }
    return BuildOptions(
        channels=channels,
        on_empty=storing.on_empty,
        passages=_asked_passages(storing),
        overlap=storing.overlap,
        cache=True,
        resume=not storing.restart,
    )


def _asked_passages(storing: StorageOptions) -> "Passages | str":
    from index.documents import Passages
    from retrieval.passages.rule import parse_passages

    parse_passages(storing.passages)
    words, overlap = storing.passage_words, storing.overlap_words
    if overlap and not words:
        raise ValueError("--overlap-words needs --passage-words: it is shared by passages")
    if words and (storing.passages != "auto" or storing.overlap is not None):
        raise ValueError("--passage-words is an older --passages words:N; give one of them")
    return Passages(words, overlap) if words else storing.passages


def _tell(
    screen: Screen, path: Path, report: "BuildReport", passed_over: "Mapping[str, Any]"
) -> None:
    """Report what went in, and everything that was left out or cut."""
    from embedder.prompts.method_rules import MIN_SAMPLE

    facts = {"index": str(path), **asdict(report), **passed_over}
    screen.result(facts)
    screen.remark(
        f"{path}: {counted(report.documents, 'document')}, "
        f"{counted(report.passages, 'passage')}, in {duration(report.seconds)}."
    )
    if report.cut:
        screen.remark(_cut_text(report))
    if report.resumed:
        screen.remark(f"{counted(report.resumed, 'document')} were there from before.")
    if report.skipped_empty:
        screen.remark(f"Left out {counted(report.skipped_empty, 'document')} without text.")
    for channel, counts in report.counts.items():
        if alike := counts.get("nothing_left", 0):
            screen.remark(
                f"{channel}: post-processing left nothing of {counted(alike, 'text')}, which the "
                "model reads like the mean of all; this channel scores them 0."
            )
        if zeros := counts.get("zeros", 0):
            screen.remark(
                f"{channel}: the server answered zeros, or no terms, for "
                f"{counted(zeros, 'non-empty text')}, which this channel never finds."
            )
        if raw := counts.get("unfitted", 0):
            screen.remark(
                f"{channel}: {counted(raw, 'row')} stayed as read, since the index began with too "
                f"few texts to fit post-processing to; with {MIN_SAMPLE} texts or more, "
                f"`lastword merge {path} --refit` fits it."
            )
    for remark in word_remarks(report.counts.get("bm25", {})):
        screen.remark(f"bm25: {remark}")
    _tell_truncated(screen, report)


def _tell_truncated(screen: Screen, report: "BuildReport") -> None:
    """Say which channels read texts that are longer than their model reads."""
    cut: dict[int, list[str]] = {}  # channels that one model reads have cut the same texts
    for channel, counts in report.counts.items():
        cut.setdefault(counts.get("truncated", 0), []).append(channel)
    for number, channels in cut.items():
        if number:
            screen.remark(
                f"{', '.join(channels)}: {counted(number, 'text')} longer than the model reads "
                "were cut; --passages words:N cuts them into passages instead."
            )


def _cut_text(report: "BuildReport") -> str:
    """Say which documents became several passages: how many, why, and of which length."""
    rule, few = report.rule, report.documents - report.cut
    assert rule is not None
    verb = "was" if report.cut == 1 else "were"
    several = f"{report.cut:,} of {counted(report.documents, 'document')}"
    reason = {
        "headings": f"had headings or {verb} too long",
        "sentences": f"{verb} longer than the model reads" if rule.tokens else f"{verb} long",
        "words": f"{verb} long",
    }[rule.at]
    return (
        f"{several} {reason}; cut into {counted(report.passages - few, 'passage')} of at most "
        f"{rule.size:,} {'tokens' if rule.tokens else 'words'} (--passages off leaves them whole)."
    )
