"""Tune an index that nobody has judged: make queries, try the signal, then search as ever."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from embedder.files.content_hash import content_hash
from embedder.models.chat_client import SUREST, open_chat
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder, Role
from eval.runs.collection_index import manifest_digest
from eval.synthesis.devset import DevsetOptions
from eval.synthesis.devset_folder import read_devset, write_devset
from eval.synthesis.devset_styles import MadeDevset, make_devset
from index.folder import Index
from retrieval.open import load_words
from tuning.first_prompts import BOTH, DOCUMENT, first_proposals, read_kinds
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.known_judgements import (
    OPEN_NAMES,
    LabelledQueries,
    MakeJudge,
    OpenCollection,
    Place,
)
from tuning.objectives.metered_chat import MeteredChat
from tuning.objectives.signal_check import DECIDED, SignalCheck, usable_prompts
from tuning.options import AUTO, TuningOptions
from tuning.search.budget import Budget, Meter, SpentError
from tuning.search.split import plan_split
from tuning.search.types import TuningTask
from tuning.setup import TuningSetup, other_prompts, prepare_tuning

DEVSET = "devset"  # folder in that of a run
PROMPTS = 12  # that a signal must order; the shortest are taken


@dataclass(frozen=True, slots=True)
class Unjudged:
    """What stands in for judgements.

    Attributes:
        made: queries of the index's documents.
        labelled: a few queries that somebody has judged, if there are any.
        measure: by which made queries are scored.
    """

    made: MadeDevset
    labelled: JudgedQueries | None = None
    measure: str = "nDCG@10"


def make_queries(
    index: Index,
    devset: DevsetOptions,
    options: TuningOptions | None = None,
    folder: Path | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> MadeDevset:
    """Make queries for a run, or read those of the run that is taken up.

    Args:
        index: opened.
        devset: how many, and in which style.
        options: name the chat model for style chat, its `writer`, and what it may take.
        folder: of the run, which keeps them; None keeps nothing.
        progress: called with the number of queries made so far.

    Raises:
        ValueError: no style keeps a query.
    """
    writer, budget = (options.writer, options.budget) if options else ("", "")
    if (kept := kept_queries(index, devset, writer, folder)) is not None:
        return kept
    if devset.style == "chat" and not writer:
        raise ValueError("style chat needs a writer: a chat model's name, folder or address")
    chat = None
    if writer and devset.style in ("chat", AUTO):
        chat = MeteredChat(open_chat(writer), Meter(Budget.parse(budget)))
    try:
        made = make_devset(index, devset, chat, load_words(index), progress)
    except SpentError as error:
        raise ValueError(
            f"the budget does not pay for the queries that {writer} writes: {error}; give a larger "
            "--budget, fewer queries (--made), or another --style"
        ) from error
    if chat is not None:
        made = replace(made, spent=asdict(chat.used))
    if folder is not None:
        write_devset(made, folder / DEVSET, _asked(index, devset, writer))
    return made


def kept_queries(
    index: Index, devset: DevsetOptions, writer: str, folder: Path | None
) -> MadeDevset | None:
    """Read the queries that were made so for the folder of a run; None where it has none.

    Raises:
        ValueError: a file was damaged.
    """
    return read_devset(folder / DEVSET, _asked(index, devset, writer)) if folder else None


def _asked(index: Index, devset: DevsetOptions, writer: str) -> dict[str, Any]:
    asks = writer if devset.style in ("chat", AUTO) else ""
    return asdict(devset) | {"writer": asks, "holds": manifest_digest(index.manifest)}


def prepare_unjudged(
    index: Index,
    encoders: Mapping[str, Encoder],
    unjudged: Unjudged,
    options: TuningOptions,
    folder: Path,
) -> TuningSetup:
    """Prepare a search that tries its signal before it follows it.

    Args:
        index: opened.
        encoders: of the channels that are tuned together, in their order.
        unjudged: what stands in for judgements.
        options: what is tuned; its `judge` compares lists in place of the made queries' documents.
        folder: of the run.

    Raises:
        ValueError: as `prepare_tuning` does.
    """
    if options.judge and {*read_kinds(options.tune)} & {DOCUMENT, BOTH}:
        raise ValueError("a judge compares what queries find; it tunes query and reading only")
    devset = unjudged.made.devset
    data = JudgedQueries.of(devset.queries, devset.qrels, unjudged.measure)
    setup = prepare_tuning(index, encoders, data.answered_in(index), options, folder)
    objective, task = setup.objective, setup.task
    judged = None
    if options.judge:
        _check_decidable(task)
        judged = MakeJudge(open_chat(options.judge, SUREST), setup.space.default, options.seed)
    check = SignalCheck(
        made=unjudged.made,
        objective=objective,
        prompts=_prompts(setup, encoders, options),
        places=_places(setup, encoders, (unjudged, options), judged),
        judge=judged(objective) if judged else None,
        rules=task.rules,
    )
    task = replace(task, signal=check)
    if check.judge:
        task = replace(task, objective=check.judge, quick=None)
    labelled = unjudged.labelled
    known = content_hash([dict(labelled.queries), labelled.qrels]) if labelled else ""
    return replace(setup, task=task, heading={**setup.heading, "signal": [check.name, known]})


def _check_decidable(task: TuningTask) -> None:
    """Refuse a search at whose end a judge sees too few queries to decide for any prompt.

    Raises:
        ValueError: it does.
    """
    plan = plan_split(task.relevant, task.rules.seed, task.rules.alpha, task.texts)
    judged = [*plan.parts.values()][1:]
    seen = sum(map(len, judged if plan.folded else judged[-1:]))
    if seen < DECIDED:
        raise ValueError(
            f"a judge must prefer one of the lists for {DECIDED} queries at least, and of "
            f"{len(task.relevant)} made ones it is asked about {seen} at the end: make more, "
            "e.g. --made 200"
        )


def _prompts(
    setup: TuningSetup, encoders: Mapping[str, Encoder], options: TuningOptions
) -> tuple[Prompt, ...]:
    """Return the default and the library's wordings of queries, whatever is tuned."""
    space = replace(setup.space, roles=(Role.QUERY,))
    proposals = first_proposals(space, list(other_prompts(encoders, options.prompt)))
    words = [proposal.prompt for proposal in proposals if proposal.prompted]
    return usable_prompts(setup.objective, words, PROMPTS)


def _places(
    setup: TuningSetup,
    encoders: Mapping[str, Encoder],
    asked: tuple[Unjudged, TuningOptions],
    judge: MakeJudge | None,
) -> tuple[Place, ...]:
    """Return the queries that somebody has judged; where there are none, the open collections."""
    objective, (unjudged, options) = setup.objective, asked
    if unjudged.labelled is not None:
        labelled = unjudged.labelled.answered_in(objective.index)
        truth = IndexObjective(objective.index, encoders, labelled, objective.encoder)
        return (LabelledQueries(objective, truth, judge),)
    style = unjudged.made.style
    chat = judge.chat if judge else open_chat(options.writer) if style == "chat" else None
    return tuple(
        OpenCollection(name, objective, encoders, style, chat, judge) for name in OPEN_NAMES
    )
