"""The commands that judge: eval retrieval, and the others from files of their own."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from embedder.files.name_lists import split_names
from lastword.cli.command import command
from lastword.cli.encoders import describe_encoders, make_encoders, word_remarks
from lastword.cli.engines import WORD_OPTIONS, EngineOptions
from lastword.cli.feedback import FeedbackText, tell_unexpanded
from lastword.cli.filters import FilterText
from lastword.cli.options import AUTO, FUSION_HELP, EncoderOptions, Output
from lastword.cli.outside import (
    Also,
    look_outside,
    tell_equal_weights,
    tell_joined,
    tell_unlearnt,
    without_channels,
)
from lastword.cli.parse import full_path
from lastword.cli.reranking import RerankOptions, check_reranking, load_reranking, rerank_cost
from lastword.cli.screen import Screen, counted, duration
from lastword.cli.sources import keep_unchanged
from lastword.commands.evaluate import datasets as datasets_command
from lastword.commands.evaluate import mteb as mteb_command
from lastword.commands.evaluate import sts as sts_command
from lastword.commands.evaluate import transfer as transfer_command
from lastword.commands.evaluate.collections import (
    SurveyedCollections,
    encoder_settings,
    judge_options,
)
from lastword.commands.evaluate.retrieval_view import show_records

if TYPE_CHECKING:
    from embedder.types import Encoder
    from eval.data.collections import Collection
    from eval.runs.record import Record

app = Typer(help="Evaluate a model and a prompt on collections with known answers.")
for commands in (sts_command, transfer_command, mteb_command, datasets_command):
    app.add_typer(commands.app)


@dataclass(frozen=True, slots=True)
class RetrievalOptions:
    """How answers are fused and measured, and where the figures go."""

    fusion: Annotated[
        str,
        Option(help=FUSION_HELP),
    ] = AUTO
    also: Also = None
    depth: Annotated[int, Option(min=1, help="Documents per channel and query.")] = 1000
    feedback: FeedbackText = ""
    filter: FilterText = ""
    measures: Annotated[
        str, Option(help="Measures of ir_measures, with commas; by default BEIR's.")
    ] = ""
    split: Annotated[
        str, Option(help='Which judgements; by default "test", or the split that BEIR reports.')
    ] = ""
    out: Annotated[
        Path | None,
        Option(
            help="Run folder for figures, TREC runs and the report; runs/MODEL-HASH by default."
        ),
    ] = None
    indexes: Annotated[
        Path, Option(help="Where indexes are made, and found again by later runs.")
    ] = Path("runs/indexes")
    resume: Annotated[
        bool,
        Option("--resume", help="Leave out the datasets that the run folder holds already."),
    ] = False


@command(
    app,
    [
        "lastword eval retrieval path/to/scifact",
        "lastword eval retrieval scifact nfcorpus --channels bm25",
        "lastword eval retrieval path/to/scifact --also lucene:path/to/lucene-index",
        "lastword eval retrieval scifact --model Qwen/Qwen3-0.6B --fusion rrf --json",
        "lastword eval retrieval scifact --channels bm25 --feedback rm3",
        "lastword eval retrieval scifact --channels bm25 --rerank cross-encoder:NAME",
        "lastword eval retrieval scifact --channels bm25 --bm25 lucene",
    ],
)
def retrieval(
    datasets: Annotated[
        list[str], Argument(metavar="DATASET...", help="BEIR folders, BEIR names, or ir:ID.")
    ],
    judging: RetrievalOptions,
    reading: EncoderOptions,
    again: RerankOptions,
    engines: EngineOptions,
    output: Output,
) -> None:
    """Index BEIR collections, search them, and evaluate every channel and their fusion.

    An index of the same documents is used again, one of others made anew; an interrupted one is
    finished.
    """
    from eval.data.collections import open_collections
    from eval.tasks.retrieval import judge_collections
    from index.filters.parse import parse_filter
    from retrieval.feedback.read import read_feedback
    from retrieval.outside.specs import read_specs

    screen = Screen(output)
    check_reranking(again)
    read_feedback(judging.feedback)
    if judging.filter:
        parse_filter(judging.filter)
    collections = open_collections(datasets, judging.split or None)
    surveyed = SurveyedCollections.read(collections, screen)
    outside = read_specs(judging.also or ())
    reading = without_channels(reading, outside)
    with screen.loading(reading.channels):
        texts = (document.content for document in collections[0].documents())
        encoders = make_encoders(reading, texts, engines)
    _refuse_foreign_examples(encoders, collections)
    also = look_outside(outside, encoders, len(collections))
    tell_equal_weights(judging.fusion, encoders, outside, screen)
    channels = engines.channels(list(encoders))
    reranking = load_reranking(again, encoders, reading, screen)
    settings = _settings(judging, encoders, also) | engines.changes
    settings |= {"rerank": reranking.facts} if reranking else {}
    out = judging.out or Path("runs") / _label(encoders, settings)
    settings["datasets"] = list(map(full_path, datasets))
    finished = _finished(judging, collections, settings, out, screen)
    waiting = surveyed.without(finished)
    folder = judging.indexes / _index_label(encoders, engines)
    indexed = [(each, folder / f"{_index_name(each)}.index") for each in waiting.collections]
    options = judge_options({**encoders, **outside}, judging.fusion, _measures(judging), out)
    build = replace(options.build, channels=channels)
    options = replace(options, depth=judging.depth, feedback=judging.feedback, build=build)
    options = replace(options, filter=judging.filter)
    options = replace(options, also=tuple(judging.also or ()))
    options = replace(options, rerank=reranking)
    judged = judge_collections(indexed, encoders, options, waiting.watch)
    finished |= {record.dataset: record for record in judged}
    records = [finished[collection.name] for collection in collections]
    screen.result([record.summary() for record in records], *show_records(records))
    screen.remark(f"Encoder: {describe_encoders(encoders)}.")
    for record in records:
        _tell_losses(record, screen)
        tell_joined(record.details, screen)
    waiting.tell(judged, out)
    page = _report(out, encoders, screen)
    screen.remark(f"Figures per query, TREC runs and the report are in {out}: open {page}.")


def _finished(
    judging: RetrievalOptions,
    collections: "Sequence[Collection]",
    settings: Mapping[str, Any],
    out: Path,
    screen: Screen,
) -> "dict[str, Record]":
    """Make the run folder or go on in it; return records of collections that are as they were."""
    from eval.runs.collection_index import source_facts
    from eval.runs.run_config import open_run

    facts = {collection.name: partial(source_facts, collection) for collection in collections}
    finished = keep_unchanged(open_run(out, settings, judging.resume), facts, screen)
    if count := len(finished.keys() & facts.keys()):
        screen.remark(f"{count} of the datasets are finished in {out}.")
    return finished


def _report(out: Path, encoders: "Mapping[str, Encoder]", screen: Screen) -> Path:
    """Write the page of the run folder; figures are whole without it."""
    from eval.report.gather import ReportOptions
    from eval.report.write import write_report

    with screen.progress("Writing the report", None, "queries") as advance:
        options = ReportOptions(encoders={out: encoders}, progress=advance)
        return write_report([out], out / "report.html", options)[0]


def _settings(
    judging: RetrievalOptions, encoders: "Mapping[str, Encoder]", also: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that changes a figure, as JSON."""
    from retrieval.feedback.read import read_feedback
    from retrieval.fusion_choice import fusion_for

    feedback = read_feedback(judging.feedback)
    channels = {**encoders, **also}
    return {
        "benchmark": "retrieval",
        "channels": list(channels),
        **encoder_settings(encoders),
        "fusion": fusion_for(judging.fusion, channels) if len(channels) > 1 else None,
        "depth": judging.depth,
        "measures": list(_measures(judging)),
        "split": judging.split or None,
        **({"feedback": str(feedback)} if feedback else {}),
        **({"filter": judging.filter} if judging.filter else {}),
        **({"also": also} if also else {}),
    }


def _index_name(collection: "Collection") -> str:
    """Name an index after the documents, which are the same in all splits."""
    from eval.data.beir import BEIR
    from eval.data.downloads import IrDataset
    from eval.runs.record import file_stem

    name = collection.name
    if isinstance(collection, IrDataset):
        return file_stem(collection.documents_name)
    return file_stem(name if name in BEIR else name.partition("/")[0])


def _refuse_foreign_examples(
    encoders: "Mapping[str, Encoder]", collections: Sequence["Collection"]
) -> None:
    from embedder.encoders.specs import specs_of

    prompts = [getattr(spec, "prompt", None) for spec in specs_of(encoders).values()]
    drawn = any(prompt is not None and prompt.sample is not None for prompt in prompts)
    if drawn and len(collections) > 1:
        raise ValueError(
            "the prompt shows texts of the collection that is searched, so that each collection "
            f"has a prompt of its own; judge the {len(collections)} datasets one by one"
        )


def _measures(judging: RetrievalOptions) -> tuple[str, ...]:
    from eval.measures.measures import STANDARD

    return tuple(filter(None, split_names(judging.measures))) or STANDARD


def _label(encoders: "Mapping[str, Encoder]", settings: Mapping[str, Any] | None = None) -> str:
    """Name a folder after the model and what reads texts, or everything that changes a figure."""
    from embedder.encoders.specs import specs_of

    specs = specs_of(encoders).values()
    model = next((spec.model for spec in specs if hasattr(spec, "model")), "")
    stem = re.sub(r"[^A-Za-z0-9.]+", "-", Path(model).name or "bm25")
    facts = [(name, encoder.fingerprint) for name, encoder in encoders.items()]
    text = repr(facts) if settings is None else json.dumps(settings, sort_keys=True)
    return f"{stem}-{hashlib.blake2b(text.encode(), digest_size=3).hexdigest()}"


def _index_label(encoders: "Mapping[str, Encoder]", engines: EngineOptions) -> str:
    """Name the folder of indexes that are read and kept alike."""
    changes = engines.changes.items()  # those of words are facts of the encoders
    kept = (f"{name}-{value}" for name, value in changes if name not in WORD_OPTIONS)
    return "-".join([_label(encoders), *kept])


def _tell_losses(record: "Record", screen: Screen) -> None:
    """Say how many texts were not read, or not whole: they count in the figures all the same."""
    from eval.runs.record import RERANKED

    empty = record.details.get("empty_queries", 0)
    if empty:
        screen.remark(
            f"{record.dataset}: {counted(empty, 'judged query')} without text; "
            f"{'it finds nothing and counts' if empty == 1 else 'they find nothing and count'} 0."
        )
    tell_unexpanded(record.details.get("unexpanded", {}), screen, f"{record.dataset}: ")
    tell_unlearnt(record.details.get("feedback", ""), record.details, screen)
    if chosen := record.details.get("filter"):
        told = "".join(f"; {remark}" for remark in chosen["remarks"])
        of = counted(record.details["documents"], "document")
        screen.remark(
            f"{record.dataset}: {chosen['documents']:,} of {of} meet the filter, all judgements "
            f"count{told}."
        )
    built = (record.details["build"] or {}).get("counts", {})
    for remark in word_remarks(built.get("bm25", {})):
        screen.remark(f"{record.dataset}: bm25: {remark}")
    searched = dict(record.cost.counts)
    if (reread := searched.pop(RERANKED, None)) and "pairs" in reread:
        spent = duration(record.cost.seconds["rerank"])
        screen.remark(f"{record.dataset}: reranked in {spent}: {rerank_cost(reread)}.")
    for kind, counts in (("documents", built), ("queries", searched)):
        cut = max(
            (channel_counts.get("truncated", 0) for channel_counts in counts.values()), default=0
        )
        if cut:
            screen.remark(
                f"{record.dataset}: {cut:,} {kind} were longer than the limit and were cut; "
                "--max-text-tokens reads more."
            )
