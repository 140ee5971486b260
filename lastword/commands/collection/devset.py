"""The command that makes queries from an index's documents: devset."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DevsetStyle, IndexPath, Output
from lastword.cli.screen import Screen, counted, table
from lastword.cli.sources import tell_escaped

if TYPE_CHECKING:
    from embedder.models.chat_client import Chat

app = Typer()


@dataclass(frozen=True, slots=True)
class DevsetOutput:
    """Which queries, how many, and where they go."""

    out: Annotated[Path, Option("--out", "-o", metavar="FOLDER", help="Queries and judgements.")]
    queries: Annotated[int, Option(min=1, help="How many.")] = 200
    style: DevsetStyle = "title"
    writer: Annotated[
        str, Option(help="For chat, auto: a model's name, folder or address (MODEL@ADDRESS).")
    ] = ""
    examples: Annotated[
        Path | None, Option(help="For chat: .jsonl of query and positive, shown as examples.")
    ] = None
    seed: Annotated[int, Option(min=0, help="Of what is drawn.")] = 0


@command(
    app,
    [
        "lastword devset my.index --out dev",
        "lastword devset my.index --out dev --style chat --writer Qwen/Qwen3-1.7B --queries 300",
        "lastword tune my.index --queries dev/queries.jsonl --qrels dev/qrels/devset.tsv",
    ],
)
def devset(path: IndexPath, making: DevsetOutput, output: Output) -> None:
    """Make queries from documents, to tune a prompt where there are no judgements.

    Queries that copy their document, come twice, or do not find their document again by words
    alone are dropped and counted.
    """
    from eval.synthesis.devset import DevsetOptions
    from eval.synthesis.devset_folder import QRELS, write_devset
    from eval.synthesis.devset_styles import ENOUGH, make_devset
    from index.folder import Index
    from retrieval.open import load_words

    screen = Screen(output)
    options = DevsetOptions(making.queries, making.style, making.seed, _examples(making.examples))
    with (
        Index.open(path) as index,
        screen.progress("Making queries", making.queries, "queries") as advance,
    ):
        made = make_devset(index, options, _chat(making), load_words(index), advance)
    escaped = write_devset(made, making.out)
    counts = dict(made.devset.counts)
    rows = [[name, f"{count:,}"] for name, count in counts.items()]
    facts = {**counts, "style": made.style, "tried": made.tried, "out": str(making.out)}
    screen.result(facts, table("what", ">number", rows=rows))
    tell_escaped(escaped, making.out / QRELS, screen)
    screen.remark(f"{made.describe()}.")
    kept = len(made.devset.queries)
    if kept < min(making.queries, ENOUGH):
        screen.remark(
            f"{kept:,} of {counted(making.queries, 'query')} were kept; fewer than {ENOUGH} cannot "
            "confirm a gain. The counts say what was dropped; try another --style, or a "
            "collection of more documents."
        )
    screen.remark(
        "Made queries are easier than people's and agree with words: "
        "check what is tuned on them on a few queries of your own."
    )


def _chat(making: DevsetOutput) -> "Chat | None":
    from embedder.models.chat_client import open_chat

    if making.style == "auto" and not making.writer:
        return None
    if making.style not in ("chat", "auto"):
        return None
    if not making.writer:
        raise ValueError("--style chat needs --writer: a model's name, folder or address")
    return open_chat(making.writer)


def _examples(path: Path | None) -> tuple[tuple[str, str], ...]:
    if path is None:
        return ()
    from eval.data.json_texts import read_objects

    examples = []
    for place, record in read_objects(path):
        pair = record.get("positive"), record.get("query")
        if not all(isinstance(text, str) and text.strip() for text in pair):
            raise ValueError(f"{place}: expected an object with a query and a positive, texts")
        examples.append((str(pair[0]), str(pair[1])))
    return tuple(examples)
