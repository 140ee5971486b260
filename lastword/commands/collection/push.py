"""The command that brings an index into Milvus."""

from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import IndexPath, Output
from lastword.cli.screen import Screen, counted, shell

app = Typer()


@dataclass(frozen=True, slots=True)
class PushTarget:
    """Where an index goes, and how it is kept there."""

    to: Annotated[
        str,
        Option(
            metavar="milvus:URI/NAME",
            help="URI is http://HOST:PORT of a server, or FILE.db of Milvus Lite. The environment "
            "variable MILVUS_TOKEN holds a token, or NAME:PASSWORD.",
        ),
    ]
    dense_index: Annotated[
        Literal["hnsw", "ivf", "flat"],
        Option(help="How Milvus searches dense rows: hnsw, ivf, or flat, which is exact."),
    ] = "hnsw"
    batch: Annotated[int, Option(min=1, max=10_000, help="Rows that are sent at a time.")] = 500
    overwrite: Annotated[
        bool, Option("--overwrite", help="Replace a collection of another index.")
    ] = False


@command(
    app,
    [
        "lastword push my.index --to milvus:http://localhost:19530/docs",
        "lastword push my.index --to milvus:http://localhost:19530/docs --dense-index flat",
        'lastword search milvus:http://localhost:19530/docs "how do I rotate a key"',
    ],
)
def push(path: IndexPath, target: PushTarget, output: Output) -> None:
    """Bring a collection of Milvus to what an index is; it is searched there like a folder.

    Only rows that are new or changed are sent, and rows that the index lacks are deleted. When
    interrupted, the same command goes on. At the end all rows are counted and compared.
    """
    from index.manifest_file import read_manifest
    from retrieval.milvus.push import PushOptions, push_index

    screen = Screen(output)
    options = PushOptions(target.dense_index, target.batch, target.overwrite)
    with screen.progress("Pushing", read_manifest(path).documents, "documents") as advance:
        report = push_index(path, target.to, options, advance)
    screen.result(asdict(report))
    screen.remark(
        f"{report.place}: {counted(report.documents, 'document')}, {counted(report.rows, 'row')}; "
        f"{report.written:,} written, {report.deleted:,} deleted, all compared."
    )
    screen.remark(f'Next: {shell("lastword", "search", report.place)} "your question"')
