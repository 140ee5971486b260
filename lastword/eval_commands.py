"""The commands that judge: eval retrieval, and eval sts from its own file."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from lastword import datasets_command, mteb_command, sts_command, transfer_command
from lastword.display import Screen, counted, duration, table
from lastword.encoders import Readers, channel_options, readers
from lastword.options import AUTO, FUSION_HELP, Output, Reading, command
from lastword.recipes import fusion_for, spoken
from lastword.sources import look_through

if TYPE_CHECKING:
    from rich.console import RenderableType

    from eval.beir import JudgeOptions
    from eval.datasets import Collection
    from eval.judged import Judged

app = Typer(help="Judge a model and a prompt on collections with known answers.")
for commands in (sts_command, transfer_command, mteb_command, datasets_command):
    app.add_typer(commands.app)


@dataclass(frozen=True, slots=True)
class Judging:
    """How answers are fused and measured, and where the figures go."""

    fusion: Annotated[
        str,
        Option(help=FUSION_HELP),
    ] = AUTO
    depth: Annotated[int, Option(min=1, help="Documents per channel and query.")] = 1000
    measures: Annotated[
        str, Option(help="Measures of ir_measures, with commas; by default BEIR's.")
    ] = ""
    split: Annotated[
        str, Option(help='Which judgements; by default "test", or the split that BEIR reports.')
    ] = ""
    out: Annotated[
        Path | None,
        Option(help="Folder for figures, TREC runs and indexes; runs/MODEL-HASH by default."),
    ] = None


@command(
    app,
    [
        "lastword eval retrieval path/to/scifact",
        "lastword eval retrieval scifact nfcorpus --channels bm25",
        "lastword eval retrieval scifact --model Qwen/Qwen3-0.6B --fusion rrf --json",
    ],
)
def retrieval(
    datasets: Annotated[
        list[str], Argument(metavar="DATASET...", help="BEIR folders or BEIR names.")
    ],
    judging: Judging,
    reading: Reading,
    output: Output,
) -> None:
    """Index BEIR collections, search them, and judge every channel and their fusion.

    An index that is there from before is used again; an interrupted one is finished.
    """
    from eval.beir import judge
    from eval.datasets import open_collection

    screen = Screen(output)
    collections = [open_collection(source, judging.split or None) for source in datasets]
    for collection in collections:
        collection.queries()  # what cannot be judged must not cost hours of encoding
    totals = [look_through(collection, screen) for collection in collections]
    made = readers(reading, (document.content for document in collections[0].documents()))
    _refuse_foreign_examples(made, collections)
    out = judging.out or Path("runs") / _label(made)
    options = _judge_options(judging, made, out)
    outcomes = []
    for collection, total in zip(collections, totals, strict=True):
        place = out / f"{collection.name.replace('/', '-')}.index"
        with screen.progress(f"Indexing {collection.name}", total, "documents") as advance:
            outcomes.append(judge(collection, made.encoders, place, options, advance))
    data = [_outcome(judged) for judged in outcomes]
    screen.result(data, *(piece for judged in outcomes for piece in _shown(judged)))
    screen.remark(f"Read by {spoken(made.recipes)}.")
    screen.remark(f"Figures per query and TREC runs are in {out}.")


def _refuse_foreign_examples(made: Readers, collections: Sequence["Collection"]) -> None:
    drawn = any("[sample]" in getattr(recipe, "prompt", "") for recipe in made.recipes.values())
    if drawn and len(collections) > 1:
        raise ValueError(
            "the prompt shows texts of the collection that is searched, so that each collection "
            f"has a prompt of its own; judge the {len(collections)} datasets one by one"
        )


def _judge_options(judging: Judging, made: Readers, out: Path) -> "JudgeOptions":
    from eval.beir import JudgeOptions
    from eval.measures import STANDARD

    measures = tuple(name.strip() for name in judging.measures.split(",") if name.strip())
    kept = JudgeOptions().build
    return JudgeOptions(
        fusion=fusion_for(judging.fusion, made.recipes),
        depth=judging.depth,
        measures=measures or STANDARD,
        out=out,
        build=replace(kept, channels=channel_options(made.recipes), cache=True),
    )


def _label(made: Readers) -> str:
    """Name a folder after the model, so that different models never share one."""
    model = next((recipe.model for recipe in made.recipes.values() if hasattr(recipe, "model")), "")
    stem = re.sub(r"[^A-Za-z0-9.]+", "-", Path(model).name or "bm25")
    facts = repr([(name, encoder.fingerprint) for name, encoder in made.encoders.items()])
    return f"{stem}-{hashlib.blake2b(facts.encode(), digest_size=3).hexdigest()}"


def _outcome(judged: "Judged") -> dict[str, Any]:
    """Leave the values of single queries to the file."""
    return {name: fact for name, fact in judged.to_json().items() if name != "values"}


def _shown(judged: "Judged") -> "list[RenderableType]":
    from eval.measures import means

    spent = ", ".join(f"{what} {duration(seconds)}" for what, seconds in judged.seconds.items())
    heading = (
        f"{judged.dataset}: {counted(judged.documents, 'document')}, {judged.queries:,} queries "
        f"({spent})"
    )
    rows = [
        (run, *(f"{mean:.4f}" for mean in means(values).values()), "")
        for run, values in judged.values.items()
    ]
    return [heading, table("run", *(f">{name}" for name in judged.measures), "", rows=rows)]
