"""The command that tunes prompts: tune."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option, Typer

from lastword.cli.command import command
from lastword.cli.options import DeviceOptions, IndexPath, Output
from lastword.cli.screen import Screen, counted, shell
from lastword.commands.prompts.tune_source import (
    JudgingOptions,
    choose_source,
    load_setup,
    read_judged,
)
from tuning.options import TuningOptions

if TYPE_CHECKING:
    from index.folder import Index
    from tuning.objectives.judged_queries import JudgedQueries
    from tuning.search.result import TuningOutcome
    from tuning.search.rounds import SearchState
    from tuning.setup import TuningSetup

app = Typer()
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
    from lastword.commands.prompts.tune_view import estimate_table
    from tuning.estimate import estimate_cost
    from tuning.outcome import (
        HELD_ROWS,
        PROMPT_FILE,
        apply_prompt,
        describe_rebuild,
        named_prompt,
        unmeasured_text,
    )
    from tuning.run import default_folder, own_folder
    from tuning.search.split import check_decidable
    from tuning.setup import check_request, choose_channels

    screen, out = Screen(output), ending.out or default_folder(path)
    judged = read_judged(judging, tuning, screen)
    with Index.open(path) as index:
        check_request(index, choose_channels(index, tuning.channels), tuning)
        _check_apply(path, index, tuning, ending)
        data = _answered(index, judged, screen)
        if data is not None and not judging.no_qrels:
            check_decidable(data.relevant_in(index), tuning.alpha, data.queries)
        source = partial(choose_source, index, judging, tuning, data)
        if ending.dry_run:
            made = source(None, screen)
            with screen.waiting("Loading the model"):
                estimate = estimate_cost(load_setup(index, made, tuning, running, out))
            screen.result(estimate, estimate_table(estimate))
            return
        with own_folder(out):
            made = source(out, screen)
            with screen.waiting("Loading the model"):
                setup = load_setup(index, made, tuning, running, out)
            outcome, changed = _search(setup, out, screen)
        unmeasured = unmeasured_text(setup)
    if changed and unmeasured:
        screen.remark(f"{unmeasured}.")
    if changed and ending.apply:
        apply_prompt(path, setup, named_prompt(outcome), ending.free_query_prompt)
        screen.remark(f"{path} is searched with the new query prompt from now on.")
    elif changed and (rebuild := describe_rebuild(setup, outcome.prompt)) == HELD_ROWS:
        screen.remark(f"What must be made again: {rebuild}.")
    elif changed:
        screen.remark(
            f"Use it: the same command with --apply, or {shell('--prompt', out / PROMPT_FILE)}"
        )


def _check_apply(path: Path, index: "Index", tuning: TuneOptions, ending: TuneOutput) -> None:
    """Refuse before any work what would be refused at the end of it."""
    from tuning.first_prompts import BOTH, DOCUMENT, QUERY, read_kinds
    from tuning.outcome import check_query_prompt_free

    kinds = set(read_kinds(tuning.tune)) if ending.apply else set[str]()
    if QUERY in kinds and not ending.free_query_prompt:
        check_query_prompt_free(path, index.channels)
    if {DOCUMENT, BOTH} & kinds:
        raise ValueError(
            "--apply writes a query prompt into the index, and --tune document or both needs a "
            "new one: leave out --apply"
        )


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


def _search(setup: "TuningSetup", out: Path, screen: Screen) -> "tuple[TuningOutcome, bool]":
    """Search, write and show the outcome; return it, and whether it is a change."""
    from lastword.commands.prompts.tune_view import describe_progress, outcome_tables
    from tuning.outcome import REPORT, write_outcome
    from tuning.run import run_search

    with screen.stages() as show:
        show("Tuning", 0.0, 1.0, "scoring the default")

        def report(state: "SearchState") -> None:
            show("Tuning", 1 - state.meter.left, 1.0, describe_progress(state))

        outcome, seconds = run_search(setup, out, report)
    figures = write_outcome(setup, outcome, out, seconds)
    screen.result(figures, *outcome_tables(outcome))
    screen.remark(f"{outcome.headline}: {outcome.reason}. Report: {out / REPORT}")
    return outcome, figures["changed"]
