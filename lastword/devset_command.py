"""The command that makes queries from an index's documents: devset."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option, Typer

from lastword.display import Screen, table
from lastword.options import IndexPath, Output, command

if TYPE_CHECKING:
    from embedder.tuning.chat import Chat

app = Typer()


@dataclass(frozen=True, slots=True)
class Making:
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
def devset(path: IndexPath, making: Making, output: Output) -> None:
    """Make queries from documents, to tune a prompt where nobody has judged anything.

    Queries that copy their document, come twice, or do not find their document again by words
    alone are dropped and counted.
    """
    from eval.devset import DevsetOptions, Maker
    from eval.qrels import write_qrels
    from index.durable import replace_file
    from index.folder import Index

    screen = Screen(output)
    options = DevsetOptions(making.queries, making.style, making.seed, _examples(making.examples))
    with (
        Index.open(path) as index,
        screen.progress("Making", making.queries, "queries") as advance,
    ):
        made = Maker(index, options, _chat(making)).devset(advance)
    folder = making.out / "qrels"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"_id": one, "text": text}) + "\n" for one, text in made.queries.items()]
    replace_file(making.out / "queries.jsonl", "".join(lines).encode())
    write_qrels(made.qrels, folder / "devset.tsv")
    facts = dict(made.counts)
    replace_file(making.out / "devset.json", (json.dumps(facts, indent=1) + "\n").encode())
    rows = [[name, f"{count:,}"] for name, count in facts.items()]
    screen.result(facts | {"out": str(making.out)}, table("", ">", rows=rows))
    screen.remark(
        "Made queries are easier than people's and agree with words: "
        "check what is tuned on them on a few queries of your own."
    )


def _chat(making: Making) -> "Chat | None":
    from embedder.tuning.chat import open_chat

    if making.style != "chat":
        return None
    if not making.writer:
        raise ValueError("--style chat needs --writer: a model's name, folder or address")
    return open_chat(making.writer)


def _examples(path: Path | None) -> tuple[tuple[str, str], ...]:
    if path is None:
        return ()
    held = [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    ]
    try:
        return tuple((str(one["positive"]), str(one["query"])) for one in held)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: every line has a query and a positive") from error
