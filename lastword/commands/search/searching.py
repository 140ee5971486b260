"""How commands open an index for searching: its channels, their fusion, and a filter."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from embedder.files.name_lists import split_names
from lastword.cli.feedback import FeedbackText
from lastword.cli.filters import FilterText, tell_filter
from lastword.cli.options import AUTO, FUSION_HELP, DeviceOptions
from lastword.cli.outside import Also, outside_facts, tell_equal_weights, tell_joined
from lastword.cli.screen import Screen
from lastword.cli.sources import unfinished_text

if TYPE_CHECKING:
    from lastword.engine import SearchEngine

RUN_DEPTH = 1000  # documents per query in a run file, as in TREC


@dataclass(frozen=True, slots=True)
class SearchOptions(DeviceOptions):
    """Which channels answer, where their models run, and how their answers become one."""

    channels: Annotated[
        str, Option(help="Some of the index's channels, e.g. dense,bm25. By default all.")
    ] = ""
    also: Also = None
    fusion: Annotated[
        str,
        Option(help=f"{FUSION_HELP} What `lastword fuse --into` chose for the index comes first."),
    ] = AUTO
    depth: Annotated[
        int, Option(min=1, help="Documents that each channel contributes to the fusion.")
    ] = RUN_DEPTH
    query_language: Annotated[
        str,
        Option(
            metavar="LANGUAGE",
            help="Of an index whose bm25 has several: that of the query (de). By default all.",
        ),
    ] = ""
    feedback: FeedbackText = ""
    filter: FilterText = ""


@contextmanager
def open_searched(
    path: Path, fusing: SearchOptions, screen: Screen, light: bool = True
) -> "Iterator[SearchEngine]":
    """Open an index with the encoders of the channels that are searched; see `lastword.open`."""
    from index.filters.kept import KeptDocuments
    from index.filters.parse import parse_filter
    from lastword.opening import open_engine
    from retrieval.feedback.read import read_feedback

    read_feedback(fusing.feedback)  # a wrong one is told before models are loaded
    chosen_documents = parse_filter(fusing.filter) if fusing.filter else None
    names = split_names(fusing.channels)
    with screen.loading(fusing.channels), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* is not finished")  # it is said below
        engine = open_engine(
            path,
            names,
            fusing.fusion,
            fusing.depth,
            fusing,
            also=fusing.also or (),
            query_language=fusing.query_language,
            light=light,
        )
    with engine:
        retriever = engine.retriever
        tell_joined(outside_facts(retriever.outside), screen)
        chosen = retriever.index.manifest.fusion
        tell_equal_weights(fusing.fusion, retriever.encoders, retriever.outside, screen, chosen)
        if remark := unfinished_text(engine.retriever.index):
            screen.remark(f"{remark}.")
        if chosen_documents:
            tell_filter(KeptDocuments.of(retriever.index, chosen_documents), screen)
        yield engine


def check_asked(query: str) -> None:
    """Refuse a query without words.

    Raises:
        ValueError: it is empty.
    """
    if not query.strip():
        raise ValueError('the query is empty; give some words, e.g. "how do I rotate a key"')
