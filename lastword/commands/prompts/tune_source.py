"""What a tuning goes by: judged queries, or queries that are made of the index's documents."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from lastword.cli.options import DeviceOptions, DevsetStyle, QueriesFile
from lastword.cli.screen import Screen
from tuning.options import TuningOptions

if TYPE_CHECKING:
    from index.folder import Index
    from tuning.objectives.judged_queries import JudgedQueries
    from tuning.request import JudgedOrMade, TuningRequest
    from tuning.setup import TuningSetup


@dataclass(frozen=True, slots=True)
class JudgingOptions:
    """What prompts are judged by: judged queries, or queries made of the index's documents."""

    queries: QueriesFile = None
    qrels: Annotated[
        Path | None,
        Option(
            help="Their judgements: TREC, BEIR .tsv or a data set by name. Those of a test split "
            "are refused."
        ),
    ] = None
    no_qrels: Annotated[
        bool,
        Option(
            "--no-qrels",
            help="Make queries of the documents, and tune on these. Judged queries beside it, a "
            "few, only test whether that can be trusted.",
        ),
    ] = False
    made: Annotated[int, Option(min=1, help="With --no-qrels: how many queries.")] = 200
    style: DevsetStyle = "auto"
    measure: Annotated[str, Option(help="In 0..1, e.g. nDCG@10, R@100, RR@10.")] = "nDCG@10"


def read_judged(
    judging: JudgingOptions, tuning: TuningOptions, screen: Screen
) -> "JudgedQueries | None":
    """Read what is judged; None where nothing is, which --no-qrels allows."""
    from eval.data.asked import load_qrels, load_queries
    from eval.runs.reported_splits import check_judgements
    from tuning.objectives.judged_queries import JudgedQueries

    if tuning.judge and not judging.no_qrels:
        raise ValueError("--judge goes with --no-qrels: judged queries need no judge")
    if judging.queries is None and judging.qrels is None and judging.no_qrels:
        return None
    if judging.queries is None or judging.qrels is None:
        raise ValueError(
            "give both --queries and --qrels, or --no-qrels, which makes queries of the documents"
        )
    if warning := check_judgements(judging.qrels, judging.queries):
        screen.remark(f"{warning}.")
    qrels = load_qrels(judging.qrels)
    return JudgedQueries.of(load_queries(judging.queries), qrels, judging.measure)


def read_request(
    index: "Index",
    judging: JudgingOptions,
    tuning: TuningOptions,
    data: "JudgedQueries | None",
    out: Path,
) -> "TuningRequest":
    """Put together what is asked for, beside what becomes of it."""
    from eval.synthesis.devset import DevsetOptions
    from tuning.request import TuningRequest

    devset = DevsetOptions(judging.made, judging.style, tuning.seed) if judging.no_qrels else None
    return TuningRequest(index, out, tuning, data, devset, judging.measure)


def choose_source(request: "TuningRequest", screen: Screen, dry: bool) -> "JudgedOrMade":
    """Return what is judged, or queries that are made now."""
    from tuning.unjudged import Unjudged

    choose = request.source_of_estimate if dry else request.source
    if request.devset is None:
        return choose()
    with screen.progress("Making queries", request.devset.queries, "queries") as advance:
        source = choose(advance)
    assert isinstance(source, Unjudged)
    screen.remark(f"{source.made.describe()}.")
    return source


def load_setup(
    request: "TuningRequest", source: "JudgedOrMade", running: DeviceOptions, screen: Screen
) -> "TuningSetup":
    """Load the models of an index, and prepare its tuning."""
    from retrieval.open import load_encoders
    from tuning.setup import choose_channels

    with screen.waiting("Loading the model"):
        channels = choose_channels(request.index, request.options.channels)
        return request.prepare(load_encoders(request.index, channels, running), source)
