"""The command that tunes prompts: tune."""

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, IndexPath, Output
from lastword.cli.screen import Screen, shell

if TYPE_CHECKING:
    from lastword.commands.prompts.tune_setup import TuningSetup
    from tuning.search.pipeline import TuningOutcome
    from tuning.search.rounds import SearchState

app = Typer()

AUTO = "auto"
PROMPT_FILE, REPORT, JOURNAL, CLOCK = "tuned.toml", "report.html", "journal.jsonl", "seconds.txt"


@dataclass(frozen=True, slots=True)
class JudgingOptions:
    """What prompts are judged by."""

    queries: Annotated[
        Path, Option(help="A .jsonl (_id, text) or .tsv (id, tab, text) file of queries.")
    ]
    qrels: Annotated[
        Path,
        Option(help="Their judgements: TREC, or BEIR .tsv. Those of a test split are refused."),
    ]
    measure: Annotated[str, Option(help="In 0..1, e.g. nDCG@10, R@100, RR@10.")] = "nDCG@10"
    channels: Annotated[
        str, Option(help="Some of the index's channels, e.g. dense. By default all, fused.")
    ] = ""


@dataclass(frozen=True, slots=True)
class TuneOptions(JudgingOptions):
    """What is tuned, by whom, and how much it may take."""

    budget: Annotated[
        str, Option(help="Amounts that are never exceeded: 2M-tokens,500-calls,600-seconds, ...")
    ] = "2M-tokens"
    proposer: Annotated[
        str,
        Option(help="auto, or some of evolve,llm,prune,tokens,pg,grad,soft, used in that order."),
    ] = AUTO
    tune: Annotated[
        str, Option(help="What: query, document, both, reading; several with commas.")
    ] = "query"
    prompt: Annotated[
        str, Option(help="A prompt of yours that is tried beside the index's: a name or a .toml.")
    ] = ""
    writer: Annotated[
        str, Option(help="For llm: a chat model's name, folder or http(s) address.")
    ] = ""
    seed: Annotated[int, Option(min=0, help="Of everything that is drawn.")] = 0
    alpha: Annotated[float, Option(help="Level of the tests by which a prompt is accepted.")] = 0.05
    min_effect: Annotated[float, Option(min=0, help="Smallest gain worth a change.")] = 0.0


@dataclass(frozen=True, slots=True)
class TuneOutput:
    """Where the outcome goes, and what is done with it."""

    out: Annotated[
        Path | None,
        Option("--out", "-o", metavar="FOLDER", help="Journal, prompt and report; INDEX.tuned."),
    ] = None
    dry_run: Annotated[bool, Option("--dry-run", help="Print what it would take, and end.")] = False
    apply: Annotated[
        bool, Option("--apply", help="Write the new query prompt into the index, if one is taken.")
    ] = False
    free_query_prompt: Annotated[
        bool,
        Option("--free-query-prompt", help="With --apply: allow this index another query prompt."),
    ] = False


@command(
    app,
    [
        "lastword tune my.index --queries q.jsonl --qrels dev.tsv --dry-run",
        "lastword tune my.index --queries q.jsonl --qrels dev.tsv --budget 2M-tokens",
        "lastword tune my.index --queries q.jsonl --qrels dev.tsv --tune query,reading --apply",
        "lastword tune my.index --queries q.jsonl --qrels dev.tsv --proposer llm "
        "--writer http://localhost:8000/v1 --budget 1M-tokens,60-calls",
    ],
)
def tune(
    path: IndexPath, tuning: TuneOptions, ending: TuneOutput, running: DeviceOptions, output: Output
) -> None:
    """Search for a better prompt, and test whether it is one.

    Queries are split into SEARCH, SELECT and CONFIRM. A prompt is taken only if it is
    significantly better on CONFIRM, which a single candidate is evaluated on, once; else the
    answer is to keep the default. Only the queries are encoded again, so the index stays as it
    is. The same command again takes up a run that was interrupted.
    """
    from eval.data.qrels import read_qrels
    from eval.data.queries import read_queries
    from eval.runs.reported_splits import check_judgements
    from index.folder import Index
    from lastword.commands.prompts.tune_outcome import apply, write_outcome
    from lastword.commands.prompts.tune_setup import estimate, set_up
    from lastword.commands.prompts.tune_view import estimate_table, outcome_tables
    from tuning.objectives.index_objective import JudgedQueries

    check_judgements(tuning.qrels)
    data = JudgedQueries.of(read_queries(tuning.queries), read_qrels(tuning.qrels), tuning.measure)
    screen, out = Screen(output), ending.out or path.with_name(f"{path.name}.tuned")
    with Index.open(path) as index:
        asked, data = len(data.queries), data.answered_in(index)
        if asked > len(data.queries):
            screen.remark(f"{asked - len(data.queries)} queries have no answer in the index.")
        with screen.waiting("Loading the model"):
            setup = set_up(index, data, tuning, running, out)
        if ending.dry_run:
            shown = estimate(setup)
            screen.result(shown, estimate_table(shown))
            return
        outcome, seconds = _run(setup, out, screen)
        told = write_outcome(setup, outcome, out, seconds)
    screen.result(told, *outcome_tables(outcome))
    screen.remark(f"{outcome.verdict}: {outcome.reason}. Report: {out / REPORT}")
    if not told["changed"]:
        return
    if not ending.apply:
        screen.remark(
            f"Use it: the same command with --apply, or {shell('--prompt', out / PROMPT_FILE)}"
        )
        return
    apply(path, setup, outcome.prompt, ending.free_query_prompt)
    screen.remark(f"{path} is searched with the new query prompt from now on.")


def _run(setup: "TuningSetup", out: Path, screen: Screen) -> "tuple[TuningOutcome, float]":
    """Search, or take a search up; return what came of it and the seconds of all sittings."""
    from embedder.files.durable import replace_file
    from lastword.commands.prompts.tune_view import watched
    from tuning.search.budget import SpentError
    from tuning.search.journal import Journal
    from tuning.search.pipeline import tune as search

    out.mkdir(parents=True, exist_ok=True)
    clock = out / CLOCK
    before = seconds_spent(clock)
    began = time.monotonic()

    def spent() -> float:
        return before + time.monotonic() - began

    with Journal(out / JOURNAL, setup.heading) as journal, watched(screen) as show:

        def report(state: "SearchState") -> None:
            replace_file(clock, f"{spent():.1f}".encode())
            show(state)

        try:
            outcome = search(setup.task, setup.budget, journal, report, before)
        except SpentError as error:
            raise ValueError(
                f"the budget does not even pay for the default prompt: {error}; "
                "see what is needed with --dry-run"
            ) from error
    return outcome, spent()


def seconds_spent(clock: Path) -> float:
    """Return how long earlier sittings took, 0 where there were none."""
    try:
        text = clock.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return 0.0
    if not re.fullmatch(r"[0-9]{1,12}\.[0-9]", text):
        raise ValueError(
            f"{clock} should hold the seconds that were spent, such as 12.3; got {text[:40]!r}: "
            "write them there, or remove the file to count from 0"
        )
    return float(text)
