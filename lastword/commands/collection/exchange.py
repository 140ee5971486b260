"""The commands that write an index in the formats of other programs, and read those."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option, Typer

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.files.name_lists import split_names
from lastword.cli.command import command
from lastword.cli.options import (
    DenseDtypeOption,
    DeviceOptions,
    EncoderOptions,
    Output,
    model_option,
)
from lastword.cli.screen import Screen, counted, shell
from lastword.cli.sources import tell_escaped

if TYPE_CHECKING:
    from embedder.types import Encoder
    from retrieval.exchange.options import ExportReport, ImportReport

app = Typer()

Exported = Annotated[
    Path, Argument(metavar="INDEX", help="Folder of an index; of an evaluation for trec.")
]

_LOST = {
    "rounded_away": ("weight", "rounded to 0 and left out"),
    "parted_documents": ("document", "of several rows, written as ID#0, ID#1 and so on"),
    "documents_without_rows": ("document", "without a row, which these files leave out"),
    "parted_queries": ("query row", "written as lines of their own"),
    "escaped_ids": ("id", "with white space, which is written %20"),
    "escaped_terms": ("term", "with white space, which is written %20"),
    "without_text": ("document", "that --texts does not have"),
    "normalized": ("vector", "scaled to unit length"),
    "other_frequencies": ("term", "whose number of documents is not that of its postings"),
    "other_lengths": ("document", "whose length is not the sum of its counts, which is used"),
}


@dataclass(frozen=True, slots=True)
class ExportFiles:
    """What is written, and where."""

    to: Annotated[
        Literal["jsonvector", "faiss", "npz", "npy", "parquet", "ciff", "beir", "trec"],
        Option(
            help="jsonvector: Anserini's JsonVectorCollection, as PromptReps writes it; "
            "faiss: pyserini's index and docid; npz, npy: NumPy; parquet: id, text, vector, terms; "
            "ciff: postings, for PISA, Terrier and others; beir: texts, queries and judgements; "
            "trec: the runs of a run folder, instead of an index."
        ),
    ]
    out: Annotated[Path, Option("--out", "-o", metavar="FOLDER", help="Folder to make.")]
    channels: Annotated[
        str, Option(help="Which rows, e.g. dense,bm25; by default the first of each kind.")
    ] = ""
    queries: Annotated[
        Path | None,
        Option(
            help="Queries to write too, encoded as a search does: .jsonl or .tsv, or the judged "
            "ones of a data set by name, e.g. ir:ID."
        ),
    ] = None
    qrels: Annotated[
        Path | None, Option(help="Judgements to write too, a file or a name; beir only.")
    ] = None
    scale: Annotated[
        int, Option(min=1, help="jsonvector, ciff: weights are multiplied by it and rounded.")
    ] = 100
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace files of the same names in the folder.")
    ] = False


@command(
    app,
    [
        "lastword export my.index --to faiss -o out/faiss",
        "lastword export my.index --to jsonvector -o out/sparse --queries queries.tsv",
        "lastword export my.index --to ciff -o out/ciff --channels bm25",
        "lastword export my.index --to parquet -o out/parquet --channels dense,bm25",
        "lastword export my.index --to beir -o out/beir --queries q.jsonl --qrels test.tsv",
        "lastword export runs/mine --to trec -o out/trec",
    ],
)
def export(path: Exported, files: ExportFiles, running: DeviceOptions, output: Output) -> None:
    """Write an index, or the runs of an evaluation, in a format of other programs.

    docs/exchange.md says what each format carries, which program reads it, and what is lost.
    """
    from eval.data.asked import load_qrels, load_queries
    from index.manifest_file import read_manifest
    from retrieval.exchange.formats import export_index
    from retrieval.exchange.options import ExportOptions

    screen = Screen(output)
    if files.to == "trec":
        _export_runs(path, files, screen)
        return
    options = ExportOptions(
        channels=tuple(split_names(files.channels)),
        queries=load_queries(files.queries) if files.queries else {},
        qrels=load_qrels(files.qrels) if files.qrels else {},
        scale=files.scale,
        overwrite=files.overwrite,
        access=running,
    )
    documents = read_manifest(path).documents
    with screen.progress("Writing", documents, "documents") as advance:
        report = export_index(path, files.to, files.out, options, advance)
    screen.result(asdict(report), *report.files)
    written = f"rows of {', '.join(report.channels)}" if report.channels else "texts"
    screen.remark(f"{files.out}: {counted(report.documents, 'document')}, {written}.")
    _tell(screen, report)


def _export_runs(path: Path, files: ExportFiles, screen: Screen) -> None:
    from eval.runs.trec_export import export_runs

    if files.queries or files.qrels or files.channels:
        raise ValueError(
            "a run folder is written as it is; leave out --queries, --qrels and --channels"
        )
    runs = export_runs(path, files.out, files.overwrite)
    screen.result(asdict(runs), *runs.files)
    tell_escaped(runs.escaped_ids, files.out, screen)


@dataclass(frozen=True, slots=True)
class ImportedModel:
    """Which model made the rows; without one they are searched by vectors or by terms."""

    model: Annotated[str, model_option("Language model that made the rows.")] = ""
    embedder: Annotated[
        str,
        model_option(
            "What made the rows, instead of a language model: sbert:NAME, tei:URL or "
            "openai:MODEL@URL.",
            metavar="NAME",
        ),
    ] = ""
    prompt: Annotated[str, model_option("Prompt that they were made with: a name or file.")] = ""
    task: Annotated[str, model_option("Stands for {task} in the prompt.", metavar="TEXT")] = ""
    dtype: Annotated[str, model_option("auto, float32, bfloat16 or float16.")] = "auto"
    device: Annotated[str, model_option("auto, cpu, cuda, cuda:1, ...")] = "auto"
    language: Annotated[
        str,
        model_option(
            "Words of channel bm25 were stemmed so: a Snowball language. By default terms are "
            "words as they are, between white space."
        ),
    ] = ""
    allow_model: Annotated[
        str, model_option("A model that the file names and that you trust.", metavar="NAME")
    ] = ""


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """How rows are kept."""

    channel: Annotated[
        Literal["", "sparse", "bm25"],
        Option(
            metavar="sparse|bm25",
            help="Terms become this channel: sparse takes weights as they are, bm25 as counts.",
            show_default=False,
        ),
    ] = ""
    normalize: Annotated[
        bool, Option("--normalize", help="Scale vectors to unit length, instead of refusing them.")
    ] = False
    factory: Annotated[
        str, Option(help='FAISS factory of the dense channel: "Flat" is exact; or "HNSW32", ...')
    ] = "Flat"
    dense_dtype: DenseDtypeOption = "float32"
    texts: Annotated[
        str,
        Option(
            metavar="SOURCE",
            help="Documents whose texts belong to the rows, by id: as `lastword index` takes them.",
        ),
    ] = ""
    overwrite: Annotated[bool, Option("--overwrite", help="Replace the index that is there.")] = (
        False
    )


@command(
    app,
    [
        "lastword import faiss pyserini/index -o my.index --embedder sbert:all-MiniLM-L6-v2 "
        "--texts corpus.jsonl",
        "lastword import jsonvector out/sparse -o my.index --model bundled --prompt promptreps",
        "lastword import ciff anserini.ciff.gz -o my.index --language porter",
        "lastword import parquet vectors.parquet -o my.index --normalize",
    ],
    name="import",
)
def import_rows(
    format: Annotated[  # noqa: A002  (the word on the command line)
        Literal["jsonvector", "faiss", "npz", "npy", "parquet", "ciff"],
        Argument(metavar="FORMAT", help="jsonvector, faiss, npz, npy, parquet or ciff."),
    ],
    source: Annotated[Path, Argument(metavar="SOURCE", help="File or folder.")],
    out: Annotated[Path, Option("--out", "-o", metavar="INDEX", help="Folder to make.")],
    rows: ImportedRows,
    model: ImportedModel,
    output: Output,
) -> None:
    """Make an index of the rows that another program wrote.

    Where the model that made them is known, the index is searched like any other.
    """
    from embedder.checkpoints.trust import ModelAccess
    from eval.data.collections import open_collection
    from retrieval.exchange.formats import import_index
    from retrieval.exchange.options import ImportOptions

    screen = Screen(output)
    with screen.loading("bm25" if not (model.model or model.embedder) else ""):
        encoders = _encoders(model)
    options = ImportOptions(
        channel=rows.channel,
        normalize=rows.normalize,
        factory=rows.factory,
        dtype=rows.dense_dtype,
        overwrite=rows.overwrite,
        encoders=encoders,
        access=ModelAccess(device=model.device, allow_model=model.allow_model),
        texts=open_collection(rows.texts).documents() if rows.texts else (),
    )
    with screen.progress("Reading", None, "documents") as advance:
        report = import_index(format, source, out, options, advance)
    screen.result({"index": str(out), **asdict(report)})
    rows_of = ", ".join(f"{counted(count, 'row')} of {name}" for name, count in report.rows.items())
    screen.remark(f"{out}: {counted(report.documents, 'document')}, {rows_of}.")
    _tell(screen, report)
    if report.searched_by_text:
        screen.remark(f'Next: {shell("lastword", "search", out)} "your question"')
    for name in report.searched_by_terms:
        made, says = ("analysis", "--language") if name == "bm25" else ("model", "--model")
        screen.remark(
            f"{name}: which {made} made the terms is not known ({says} says it), so that a query "
            f"is terms as {source} has them, with spaces between; words of a text may not be among "
            "them."
        )
    for name in report.rows.keys() - {*report.searched_by_text, *report.searched_by_terms}:
        screen.remark(
            f"{name}: which model made the rows is not known, so that they are searched from "
            "Python, by vectors; --model or --embedder says it."
        )


def _encoders(model: ImportedModel) -> "Mapping[str, Encoder]":
    from embedder.encoders.load import load_encoder
    from lastword.cli.encoders import model_channels

    encoders: dict[str, Encoder] = {}
    if model.model or model.embedder:
        reading = EncoderOptions(
            model=model.model or BUNDLED_NAME,
            embedder=model.embedder,
            prompt=model.prompt,
            task=model.task,
            dtype=model.dtype,
            device=model.device,
        )
        encoders |= model_channels(reading)
    elif model.prompt or model.task:
        raise ValueError("--prompt and --task go with --model or --embedder")
    if model.language:
        encoders["bm25"] = load_encoder(f"bm25:{model.language}")
    return encoders


def _tell(screen: Screen, report: "ExportReport | ImportReport") -> None:
    """Say what is not as it was."""
    for name, count in report.counts.items():
        noun, what = _LOST[name]
        screen.remark(f"{counted(count, noun)} {what}.")
