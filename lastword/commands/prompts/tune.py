"""The command that tunes prompts: tune."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from embedder.progress import watching
from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, IndexPath, Output
from lastword.cli.screen import Screen, counted, shell
from lastword.commands.prompts.tune_source import (
    JudgingOptions,
    choose_source,
    load_setup,
    read_judged,
    read_request,
)
from tuning.options import TuningOptions

if TYPE_CHECKING:
    from index.folder import Index
    from tuning.objectives.judged_queries import JudgedQueries
    from tuning.request import TuningRequest
    from tuning.search.result import TuningOutcome
    from tuning.search.rounds import SearchState
    from tuning.setup import TuningSetup

app = Typer()
TRYING = "Trying the signal"
_DEFAULTS = TuningOptions()


@dataclass(frozen=True, slots=True)
class TuneOptions(TuningOptions):
    """The options of a tuning, with their help."""

    budget: Annotated[
        str,
        Option(
            help="Limits that are never exceeded, of tokens, calls, chat-tokens, evaluations and "
            "seconds, e.g. 2M-tokens or 500k-tokens,60-calls."
        ),
    ] = _DEFAULTS.budget
    proposer: Annotated[
        str,
        Option(
            help="auto, or some of evolve, llm, prune, tokens, pg, grad and soft, with commas, "
            "used in that order."
        ),
    ] = _DEFAULTS.proposer
    tune: Annotated[
        str, Option(help="What: query, document, both, reading; several with commas.")
    ] = _DEFAULTS.tune
    channels: Annotated[
        str, Option(help="Some of the index's channels, e.g. dense. By default all, fused.")
    ] = ""
    prompt: Annotated[
        str, Option(help="A prompt of yours that is tried beside the index's: a name or a .toml.")
    ] = ""
    writer: Annotated[
        str,
        Option(help="For llm, and --style chat: a chat model's name, folder or http(s) address."),
    ] = ""
    seed: Annotated[int, Option(min=0, help="Of everything that is drawn.")] = _DEFAULTS.seed
    alpha: Annotated[float, Option(help="Level of the tests that a prompt must pass.")] = (
        _DEFAULTS.alpha
    )
    min_effect: Annotated[float, Option(min=0, help="Smallest gain worth a change.")] = (
        _DEFAULTS.min_effect
    )
    soft_tokens: Annotated[int, Option(min=1, help="For soft: vectors that are learned.")] = (
        _DEFAULTS.soft_tokens
    )
    soft_form: Annotated[str, Option(help="For soft: direct, residual, low_rank or mixture.")] = (
        _DEFAULTS.soft_form
    )
    soft_place: Annotated[str, Option(help="For soft: after the text, or before everything.")] = (
        _DEFAULTS.soft_place
    )
    soft_epochs: Annotated[int, Option(min=1, help="For soft: most passes over the queries.")] = (
        _DEFAULTS.soft_epochs
    )
    judge: Annotated[
        str,
        Option(
            help="With --no-qrels: a chat model that compares what queries find, in place of the "
            "documents that they were made of."
        ),
    ] = ""


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
        "lastword tune my.index --queries q.jsonl --qrels dev.tsv --tune query,reading "
        "--apply --free-query-prompt",
        "lastword tune my.index --queries q.jsonl --qrels dev.tsv --proposer llm "
        "--writer http://localhost:8000/v1 --budget 1M-tokens,60-calls",
        "lastword tune my.index --no-qrels",
        "lastword tune my.index --no-qrels --queries few.jsonl --qrels few.tsv",
        "lastword tune my.index --no-qrels --judge http://localhost:8000/v1 "
        "--budget 2M-tokens,4000-calls",
    ],
)
def tune(
    path: IndexPath,
    judging: JudgingOptions,
    tuning: TuneOptions,
    ending: TuneOutput,
    running: DeviceOptions,
    output: Output,
) -> None:
    """Search for a better prompt, and test whether it is one.

    Queries are split into SEARCH, SELECT and CONFIRM, or into folds where few of them differ.
    SELECT ranks what SEARCH found, and a single candidate is evaluated on CONFIRM, once. It is
    taken only if both together show that it is better; else the answer is to keep the default.
    Only the queries are encoded again, so the index stays as it is. The same command again takes
    up a run that was interrupted.
    """
    from index.folder import Index
    from tuning.run import default_folder, own_folder
    from tuning.search.split import check_decidable
    from tuning.setup import choose_channels

    screen, out = Screen(output), ending.out or default_folder(path)
    judged = read_judged(judging, tuning, screen)
    with Index.open(path) as index:
        request = replace(
            read_request(index, judging, tuning, judged, out),
            apply=ending.apply,
            free=ending.free_query_prompt,
        )
        request.check(choose_channels(index, tuning.channels))
        request = replace(request, data=_answered(index, judged, screen))
        if request.data is not None and request.devset is None:
            check_decidable(request.data.relevant_in(index), tuning.alpha, request.data.queries)
        if ending.dry_run:
            source = choose_source(request, screen, dry=True)
            _show_estimate(load_setup(request, source, running, screen), screen)
            return
        with own_folder(out):
            source = choose_source(request, screen, dry=False)
            setup = load_setup(request, source, running, screen)
            outcome = _search(request, setup, screen)
    _end(request, setup, outcome, screen)


def _show_estimate(setup: "TuningSetup", screen: Screen) -> None:
    """Show what a search would take."""
    from lastword.commands.prompts.tune_view import estimate_table
    from tuning.estimate import estimate_cost

    with screen.waiting("Reading some queries"):
        estimate = estimate_cost(setup)
    screen.result(estimate, estimate_table(estimate))


def _answered(
    index: "Index", judged: "JudgedQueries | None", screen: Screen
) -> "JudgedQueries | None":
    """Return the queries that have an answer in the index, and say what else there is to know."""
    from retrieval.pseudo_queries import lacking_text

    data = judged.answered_in(index) if judged else None
    if judged and data and (unanswered := len(judged.queries) - len(data.queries)):
        screen.remark(
            f"Left out {counted(unanswered, 'judged query')} without an answer in the index."
        )
    for spec in index.channels.values():
        if lacking := lacking_text(spec):
            screen.remark(f"{lacking}.")
    return data


def _search(request: "TuningRequest", setup: "TuningSetup", screen: Screen) -> "TuningOutcome":
    """Search, write and show the outcome."""
    from lastword.commands.prompts.tune_view import describe_progress, outcome_tables
    from tuning.outcome import REPORT

    searching = False
    with screen.stages() as show:

        def report(state: "SearchState") -> None:
            nonlocal searching
            searching = True
            show("Tuning", 1 - state.meter.left, 1.0, describe_progress(state))

        def report_trial(texts: int) -> None:
            if not searching:
                show(TRYING, texts, total, f"{name}, {texts:,} of at most {total:,} texts")

        signal = setup.task.signal
        if signal is None:
            show("Tuning", 0.0, 1.0, "scoring the default")
            outcome, figures = request.run(setup, report)
        else:
            name, total = signal.name, signal.texts()
            report_trial(0)
            with watching(report_trial, total):
                outcome, figures = request.run(setup, report)
    screen.result(figures, *outcome_tables(outcome))
    screen.remark(f"{outcome.headline}: {outcome.reason}. Report: {request.folder / REPORT}")
    return outcome


def _end(
    request: "TuningRequest", setup: "TuningSetup", outcome: "TuningOutcome", screen: Screen
) -> None:
    """Apply what was taken, where that is asked for, or say how to."""
    from tuning.outcome import HELD_ROWS, PROMPT_FILE, describe_rebuild, unmeasured_text
    from tuning.search.result import CHANGE

    if outcome.verdict != CHANGE:
        return
    if unmeasured := unmeasured_text(setup):
        screen.remark(f"{unmeasured}.")
    if request.finish(setup, outcome):
        path = request.index.path
        screen.remark(f"{path} is searched with the new query prompt from now on.")
    elif (rebuild := describe_rebuild(setup, outcome.prompt)) == HELD_ROWS:
        screen.remark(f"What must be made again: {rebuild}.")
    else:
        place = shell("--prompt", request.folder / PROMPT_FILE)
        screen.remark(f"Use it: the same command with --apply, or {place}")
