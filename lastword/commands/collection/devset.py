"""The command that makes queries from an index's documents: devset."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import IndexPath, Output
from lastword.cli.screen import Screen, counted, table
from lastword.cli.sources import tell_escaped

if TYPE_CHECKING:
    from embedder.models.chat_client import Chat
    from embedder.types import Encoder
    from index.folder import Index

app = Typer()


@dataclass(frozen=True, slots=True)
class DevsetOutput:
    """Which queries, how many, and where they go."""

    out: Annotated[Path, Option("--out", "-o", metavar="FOLDER", help="Queries and judgements.")]
    queries: Annotated[int, Option(min=1, help="How many.")] = 200
    style: Annotated[
        Literal["title", "cloze", "chat"],
        Option(help="Titles; the content words of a sentence; or what a chat model writes."),
    ] = "title"
    writer: Annotated[
        str, Option(help="For chat: a model's name, folder or address (MODEL@ADDRESS).")
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
    from embedder.files.durable import replace_file
    from embedder.files.json_file import write_json
    from eval.data.qrels import write_qrels
    from eval.synthesis.devset import DevsetOptions, Maker
    from index.folder import Index
    from tuning.search.split import FEW

    screen = Screen(output)
    options = DevsetOptions(making.queries, making.style, making.seed, _examples(making.examples))
    with (
        Index.open(path) as index,
        screen.progress("Making queries", making.queries, "queries") as advance,
    ):
        judged = Maker(index, options, _chat(making), _words(index)).devset(advance)
    folder = making.out / "qrels"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"_id": query_id, "text": text}) + "\n"
        for query_id, text in judged.queries.items()
    ]
    replace_file(making.out / "queries.jsonl", "".join(lines).encode())
    escaped = write_qrels(judged.qrels, folder / "devset.tsv")
    facts = dict(judged.counts)
    write_json(making.out / "devset.json", facts)
    rows = [[name, f"{count:,}"] for name, count in facts.items()]
    screen.result(facts | {"out": str(making.out)}, table("what", ">number", rows=rows))
    tell_escaped(escaped, folder / "devset.tsv", screen)
    if len(judged.queries) < min(making.queries, FEW):
        screen.remark(
            f"{len(judged.queries):,} of {counted(making.queries, 'query')} were kept; fewer "
            f"than {FEW} cannot confirm a gain. The counts say what was dropped; try another "
            "--style, or a collection of more documents."
        )
    screen.remark(
        "Made queries are easier than people's and agree with words: "
        "check what is tuned on them on a few queries of your own."
    )


def _words(index: "Index") -> "Encoder":
    """Return what analysed the texts of the bm25 channel, or what would."""
    from embedder.encoders.bm25 import BM25Encoder
    from embedder.encoders.specs import NO_SPEC
    from retrieval.open import load_encoders

    spec = index.channels.get("bm25")
    if spec is None or spec.recipe == NO_SPEC:  # of an encoder of one's own, or an old version
        return BM25Encoder()
    return load_encoders(index, ["bm25"])["bm25"]


def _chat(making: DevsetOutput) -> "Chat | None":
    from embedder.models.chat_client import open_chat

    if making.style != "chat":
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
