"""The command that lists the collections of BEIR with published figures: eval datasets."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from typer import Typer

from lastword.cli.command import command
from lastword.cli.options import Output
from lastword.cli.screen import Screen, table

if TYPE_CHECKING:
    from eval.data.beir import BeirSet

app = Typer()


@command(app, ["lastword eval datasets", "lastword eval datasets --json"])
def datasets(output: Output) -> None:
    """List BEIR's collections: sizes, terms, and what BM25 reaches on them.

    BM25 is Anserini's, nDCG@10, with title and text as one field and as two.
    """
    from eval.data.beir import BEIR, CQADUPSTACK, CQADUPSTACK_PARTS, WHOLE

    screen = Screen(output)
    parts = [BEIR[name] for name in CQADUPSTACK_PARTS]
    data: list[dict[str, Any]] = []
    rows = []
    for name, collection in WHOLE.items():
        members = parts if name == CQADUPSTACK else []
        data.append(_facts(collection) | {"parts": [_facts(part) for part in members]})
        rows += [
            _row(collection, collection.name),
            *(_row(part, f"  {_last(part)}") for part in members),
        ]
    columns = (">documents", ">queries", "splits", ">MB", ">BM25", ">2 fields", "licence")
    own = ", ".join(collection.name for collection in WHOLE.values() if collection.holds_queries)
    screen.result(data, table("set", *columns, rows=rows))
    screen.remark(f"Queries that are documents too, whose own document is not counted: {own}.")
    screen.remark(
        "What has no MB cannot be downloaded: BEIR's examples/dataset/README.md says how a "
        "folder is made of it. Licences are those that mteb states for its copies."
    )


def _facts(collection: "BeirSet") -> dict[str, Any]:
    facts = asdict(collection)
    del facts["hub_name"]
    facts["bm25"] = {"measure": "nDCG@10", **{name: facts.pop(name) for name in _FIELDS}}
    return facts


_FIELDS = ("flat", "multifield")


def _last(part: "BeirSet") -> str:
    return part.name.rpartition("/")[2]


def _row(collection: "BeirSet", name: str) -> tuple[str, ...]:
    whole = collection.name == name
    return (
        name,
        f"{collection.documents:,}",
        f"{collection.queries:,}",
        " ".join(collection.splits) if whole else "",
        (f"{collection.megabytes:,}" if collection.megabytes else "-") if whole else "",
        *(f"{value:.4f}" if value else "-" for value in (collection.flat, collection.multifield)),
        collection.licence if whole else "",
    )
