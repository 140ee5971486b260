"""`lastword recall`: how much of the exact best FAISS factories find, before one is chosen."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, IndexPath, Output
from lastword.cli.screen import Screen, table

if TYPE_CHECKING:
    from embedder.types import Representation
    from index.folder import Index
    from lastword.cli.tables import Table
    from retrieval.planning.recall import RecallReport

app = Typer()


@command(
    app,
    [
        "lastword recall my.index --factory IVF256,PQ32",
        "lastword recall my.index --factory HNSW32 --factory IVF256,PQ32,RFlat -k 100",
        "lastword recall my.index --factory HNSW32,SQ8 --queries queries.jsonl --json",
    ],
)
def recall(
    path: IndexPath,
    factory: Annotated[
        list[str], Option(help="FAISS factory to try; several are several answers.")
    ],
    running: DeviceOptions,
    output: Output,
    queries: Annotated[
        Path | None,
        Option(metavar="FILE", help="Queries, _id and text; by default rows of the index."),
    ] = None,
    top_k: Annotated[int, Option("--top-k", "-k", min=1, help="Rows that a query wants.")] = 10,
    rows: Annotated[int, Option(min=1, help="Rows that are searched at most, drawn.")] = 100_000,
    channel: Annotated[str, Option(help="A dense channel of the index.")] = "dense",
) -> None:
    """Measure how much of the exact best FAISS factories find, and how fast.

    Each factory is built, in memory, of rows of the index, and searched as an index searches it
    and with other settings. What is found is scored exactly. The first line is exact search.

    A sample is easier than the whole index: raise --rows where memory allows.
    """
    from index.folder import Index
    from retrieval.planning.recall import RecallOptions, measure_recall

    screen = Screen(output)
    with Index.open(path) as index:
        if channel not in index.channels:
            raise ValueError(
                f"{path} has no channel {channel!r}; it has {', '.join(index.channels)}"
            )
        asked = None if queries is None else _encoded(index, channel, queries, running, screen)
        with screen.waiting("Building and searching"):
            report = measure_recall(
                index, factory, channel, asked, RecallOptions(k=top_k, rows=rows)
            )
    screen.result(report.to_json(), _table(report))
    whose = "rows of the index that stood for queries" if report.drawn else "queries"
    screen.remark(
        f"{report.rows:,} of {report.total:,} rows, {report.queries:,} {whose}; an index searches "
        "by the settings marked *."
    )
    screen.remark(report.advice)


def _encoded(
    index: "Index", channel: str, path: Path, running: DeviceOptions, screen: Screen
) -> "Representation":
    from embedder.types import Role
    from eval.data.asked import load_queries
    from retrieval.named_texts import encode_named
    from retrieval.open import load_specs

    texts = load_queries(path)
    with screen.loading(channel):
        spec = index.channels[channel]
        encoder = load_specs({channel: spec.recipe}, running)[channel]
    spec.check_encoder(encoder.fingerprint, querying=True)
    names = [f"query {name!r}" for name in texts]
    return encode_named(encoder, list(texts.values()), Role.QUERY, names)


def _table(report: "RecallReport") -> "Table":
    rows = [
        (
            each.factory,
            each.setting + (" *" if each.own and each.setting else ""),
            f"{each.recall:.3f}",
            f"{each.queries_per_second:,.0f}",
            f"{each.bytes_per_vector:,.0f}",
        )
        for each in report.figures
    ]
    return table(
        "factory", "setting", f">recall@{report.k}", ">queries/s", ">bytes a vector", rows=rows
    )
