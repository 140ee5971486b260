"""The commands that look after an index: delete, merge, check, info."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from lastword.cli.command import command
from lastword.cli.encoders import describe_spec
from lastword.cli.filters import FilterText
from lastword.cli.options import DeviceOptions, IndexPath, Output
from lastword.cli.parse import typed_text
from lastword.cli.screen import Screen, clipped, counted, size, table
from lastword.cli.sources import unfinished_text
from lastword.commands.collection.query_prompt import query_prompt_facts, query_prompt_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from index.folder import Index
    from index.manifest import ChannelSpec

app = Typer()


@command(
    app,
    [
        "lastword delete my.index report-2019 report-2020",
        "lastword delete my.index --filter 'year < 2020' --dry-run",
    ],
)
def delete(
    path: IndexPath,
    output: Output,
    ids: Annotated[
        list[str] | None,
        Argument(metavar="ID...", help="Ids of documents.", callback=typed_text("an id")),
    ] = None,
    filter: FilterText = "",  # noqa: A002  (the word of the option)
    dry_run: Annotated[
        bool, Option("--dry-run", help="Say which documents would be deleted; delete none.")
    ] = False,
) -> None:
    """Delete documents by their ids, or those that meet a filter; merge gives their space back."""
    from index.filters.kept import matching_ids
    from index.writer import IndexWriter

    if bool(ids) == bool(filter):
        raise ValueError("delete takes either ids of documents or --filter EXPR")
    screen = Screen(output)
    with IndexWriter(path) as writer:
        gone = ids or matching_ids(path, filter)
        writer.delete(gone)
        if not dry_run:
            writer.commit()
            writer.compact()
    done = "Would delete" if dry_run else "Deleted"
    data = {"deleted": [] if dry_run else gone, **({"would_delete": gone} if dry_run else {})}
    screen.result(data, f"{done} {counted(len(gone), 'document')}.")


@command(app, ["lastword merge my.index", "lastword merge my.index --refit"])
def merge(
    path: IndexPath,
    running: DeviceOptions,
    output: Output,
    refit: Annotated[
        bool,
        Option("--refit", help="Fit \\[post] of the prompt anew, which reads all documents again."),
    ] = False,
) -> None:
    """Make one segment of all, leave out what was deleted, and free the space."""
    from index.writer import IndexWriter

    screen = Screen(output)
    if refit:
        _refit(path, running, screen)
    with screen.waiting("Merging"), IndexWriter(path) as writer:
        writer.merge()
        writer.commit()
        freed = writer.compact()
    screen.result({"freed_bytes": freed}, f"Merged; {size(freed)} freed.")


def _refit(path: Path, running: "DeviceOptions", screen: Screen) -> None:
    from index.folder import Index
    from retrieval.build import refit_index
    from retrieval.open import load_encoders

    with Index.open(path) as index, screen.loading(",".join(index.channels)):
        encoders, documents = load_encoders(index, access=running), index.documents
    with screen.progress("Reading again", documents, "documents") as advance:
        refit_index(path, encoders, advance)


@command(app, ["lastword check my.index", "lastword check my.index --json"])
def check(path: IndexPath, output: Output) -> None:
    """Compare every file of an index with its checksum, and its parts with each other."""
    from index.folder import check as problems_of
    from index.storage.milvus_address import refuse_milvus

    refuse_milvus(path)
    screen = Screen(output)
    with screen.waiting("Checking"):
        problems = problems_of(path)
    lines = [] if problems else [f"{path} is sound."]
    screen.result({"sound": not problems, "problems": problems}, *lines)
    if problems:
        raise ValueError(f"{path} is not sound: {'; '.join(problems)}")


@command(app, ["lastword info my.index", "lastword info my.index --json"])
def info(path: IndexPath, output: Output) -> None:
    """Show what an index holds, and which encoders made it."""
    from index.folder import Index

    with Index.open(path) as index:
        facts = _facts(index)
        unfinished, rule = unfinished_text(index), index.passages
        rows = [
            (name, _kept_as(spec, facts["channels"][name]), _encoder(spec))
            for name, spec in index.channels.items()
        ]
    summary = (
        f"{path}: {counted(facts['documents'], 'document')} in "
        f"{counted(facts['segments'], 'segment')}, {size(facts['bytes'])}, "
        f"{facts['deleted']:,} deleted"
    )
    pieces: list[RenderableType] = [
        summary,
        table("channel", "kept as", "encoder", rows=rows),
    ]
    prompts = {name: each["query_prompt"] for name, each in facts["channels"].items()}
    pieces += query_prompt_lines({name: each for name, each in prompts.items() if each})
    if facts["sources"]:
        pieces.append(source_table(facts["sources"]))
    if rule:
        pieces.append(f"Documents are cut into {rule.describe()}.")
    if facts["fusion"]:
        pieces.append(f"Searches fuse the channels by {facts['fusion']}, chosen by lastword fuse.")
    if unfinished:
        pieces.append(f"{unfinished}.")
    Screen(output).result(facts, *pieces)


def source_table(sources: Sequence[Mapping[str, Any]]) -> "RenderableType":
    """Show the sources that an index remembers, as `Ledger.to_facts` gives them."""
    rows = [
        (
            clipped(each["source"], 60),
            f"{each['files']:,}",
            f"{each['documents']:,}",
            ", ".join(f"{name} {_plainly(value)}" for name, value in each["options"].items()),
        )
        for each in sources
    ]
    return table("source", "files", "documents", "read with", rows=rows)


def _plainly(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _kept_as(spec: "ChannelSpec", facts: Mapping[str, Any]) -> str:
    if spec.weighting is None:
        width = "" if spec.dim is None else f" of {spec.dim}"
        few = facts["exact_segments"]
        exact = f" ({few} too small for it, searched exactly)" if few else ""
        asked = bool(facts["fingerprint"].get("post"))
        post = "post-processed" if spec.post else "not post-processed yet" if asked else ""
        dtype = "" if spec.dtype == "float32" else spec.dtype
        return ", ".join(filter(None, [f"vectors{width}", f"{spec.factory}{exact}", dtype, post]))
    place = "a Lucene index" if spec.engine == "lucene" else "postings"
    weighting = spec.weighting
    rule = "" if weighting.kind == "impacts" else f" (k1 {weighting.k1:g}, b {weighting.b:g})"
    return f"{place}, {weighting.kind}{rule}"


def _encoder(spec: "ChannelSpec") -> str:
    from embedder.encoders.specs import from_json

    try:
        return describe_spec(from_json(spec.recipe, spec.name))
    except ValueError:
        return "another program"


def post_facts(spec: "ChannelSpec") -> dict[str, Any] | None:
    """Return what is done to the rows of a channel, as JSON; None where nothing is."""
    fit = spec.post
    if fit is None:
        return None
    return {
        "digest": fit.digest,
        "from_width": fit.dim,
        "to_width": fit.width,
        "directions_changed": len(fit.factors),
        "smallest_factor": float(fit.factors.min(initial=1)),
    }


def _facts(index: "Index") -> dict[str, Any]:
    from index.channels.dense import FLAT
    from retrieval.sources.ledger import read_ledger

    return {
        "documents": index.documents,
        "deleted": index.deleted,
        "segments": index.segments,
        "bytes": index.bytes,
        "generation": index.generation,
        "unfinished": index.unfinished.kind if index.unfinished else None,
        "fusion": index.manifest.fusion or None,
        "sources": read_ledger(index.path, index.manifest.sources).to_facts(),
        "passages": index.passages and index.passages.to_json(),
        "channels": {
            name: {
                "kind": spec.kind,
                "dim": spec.dim,
                "factory": spec.factory,
                "dtype": spec.dtype if spec.kind == "dense" else None,
                "engine": spec.engine if spec.weighting else None,
                "weighting": asdict(spec.weighting) if spec.weighting else None,
                "exact_segments": sum(
                    record.searched_exactly(name) for record in index.manifest.segments
                )
                if spec.factory not in (None, FLAT)
                else 0,
                "recipe": json.loads(spec.recipe),
                "fingerprint": json.loads(spec.fingerprint),
                "post": post_facts(spec),
                "query_prompt": query_prompt_facts(spec),
            }
            for name, spec in index.channels.items()
        },
    }
