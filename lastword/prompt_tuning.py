"""Tune the prompt of an index, and tell before what that would take."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedder.arguments import check_options, check_path
from embedder.types import Encoder
from eval.data.qrels import Qrels
from eval.measures.given_queries import Judgements, QueryTexts, judgements, query_texts
from eval.runs.reported_splits import check_judgements
from eval.synthesis.devset import DevsetOptions
from lastword.engine import SearchEngine
from lastword.opening import given_engine
from tuning.estimate import estimate_cost
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import TuningOptions
from tuning.request import TuningRequest
from tuning.run import default_folder, own_folder
from tuning.search.result import TuningOutcome
from tuning.setup import choose_channels

ANY_STYLE = DevsetOptions(style="auto")


def tune(
    index: SearchEngine | str | Path,
    queries: QueryTexts | None = None,
    qrels: Judgements | None = None,
    budget: str = "2M-tokens",
    options: TuningOptions | None = None,
    *,
    devset: DevsetOptions | None = None,
    out: str | Path | None = None,
    apply: bool = False,
    free_query_prompt: bool = False,
) -> TuningOutcome:
    """Search for a better prompt of an index, and say whether it is one.

    The same call again continues an interrupted search, and shows a finished one: with `apply`
    it is then applied. What it would take is told by `estimate_tuning`.

    Without judgements, queries are made of the documents, and it is tried whether they order
    prompts as judgements do: those of a few judged queries, given beside `devset`, or those of two
    small collections that come along.

    Args:
        index: open, or its folder.
        queries: id -> text, a file of them, or a data set by name, e.g. "ir:ID".
        qrels: query id -> document id -> gain, or a file of judgements or name of a data set.
        budget: limits that are never exceeded, e.g. "300k-tokens" or "2M-tokens,600-seconds".
        options: what is tuned and how; its budget counts where it is given.
        devset: which queries are made, to be tuned on; by default 200, and only where there are
            no judgements.
        out: folder of journal, prompt and report, by default INDEX.tuned; other options need
            another.
        apply: write the new query prompt into the index, if one is taken; by default the index
            stays as it is. An index that is open searches with it when it is opened again.
        free_query_prompt: with `apply`, allow this index another query prompt.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there are fewer than six queries that differ in text and in relevant documents
            of the index, made queries do not order prompts as judgements do, the budget is too
            small, or the index keeps its query prompt.

    >>> words = ["tea", "key", "sea", "bee", "oak", "rye"]
    >>> index = lw.build("words.index", words, encoder)
    >>> qrels = {word: {str(at): 1} for at, word in enumerate(words)}
    >>> lw.tune(index, {word: word for word in words}, qrels, budget="4k-tokens").verdict
    'keep the default'
    """
    chosen = _options(options, devset, budget)
    judged = _judged(queries, qrels)
    ending = apply, free_query_prompt
    with _asked(index, judged, (chosen, devset), out, ending) as (request, encoders):
        with own_folder(request.folder):
            setup = request.prepare(encoders, request.source())
            outcome, _ = request.run(setup)
        request.finish(setup, outcome)
    return outcome


def estimate_tuning(
    index: SearchEngine | str | Path,
    queries: QueryTexts | None = None,
    qrels: Judgements | None = None,
    budget: str = "2M-tokens",
    options: TuningOptions | None = None,
    *,
    devset: DevsetOptions | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Tell what `tune` would take of the same arguments, as `lastword tune --dry-run --json` does.

    A few queries are read to measure the time. Made queries are kept for the run in its folder;
    a chat model is not asked for them.

    Returns:
        Queries of each part, the smallest gain that they can detect, tokens and seconds of a
        prompt and of the end, and how many prompts the budget pays for.

    Raises:
        TypeError: an argument is of another type.
        ValueError: as `tune` does of what it refuses before any work; or a chat model would have
            to make the queries.

    >>> words = ["tea", "key", "sea", "bee", "oak", "rye"]
    >>> index = lw.build("words.index", words, encoder)
    >>> qrels = {word: {str(at): 1} for at, word in enumerate(words)}
    >>> found = lw.estimate_tuning(index, {word: word for word in words}, qrels, "4k-tokens")
    >>> found["queries"]
    {'fold 1': 1, 'fold 2': 1, 'fold 3': 1, 'fold 4': 3}
    """
    chosen = _options(options, devset, budget)
    judged = _judged(queries, qrels)
    with _asked(index, judged, (chosen, devset), out) as (request, encoders):
        return estimate_cost(request.prepare(encoders, request.source_of_estimate()))


def _options(
    options: TuningOptions | None, devset: DevsetOptions | None, budget: str
) -> TuningOptions:
    check_options(options, TuningOptions)
    check_options(devset, DevsetOptions, "devset")
    return options or TuningOptions(budget=budget)


def _judged(queries: QueryTexts | None, qrels: Judgements | None) -> JudgedQueries | None:
    """Read what is judged, if anything is."""
    if (queries is None) != (qrels is None):
        raise ValueError("queries and qrels go together; give both, or none to have queries made")
    if queries is None or qrels is None:
        return None
    texts = query_texts(queries)
    beside = None if isinstance(queries, Mapping) else Path(queries)
    return JudgedQueries.of(texts, _unreported(qrels, beside))


@contextmanager
def _asked(
    index: SearchEngine | str | Path,
    judged: JudgedQueries | None,
    how: tuple[TuningOptions, DevsetOptions | None],
    out: str | Path | None,
    ending: tuple[bool, bool] = (False, False),
) -> Iterator[tuple[TuningRequest, dict[str, Encoder]]]:
    """Put together what is asked for, with the encoders of the channels that are tuned."""
    options, devset = how
    if out is not None:
        check_path(out, "out", "a folder")
    if judged is not None and devset is None and options.judge:
        raise ValueError("a judge goes with made queries: give devset, or no judged queries")
    with given_engine(index) as engine:
        retriever = engine.retriever
        opened = retriever.index
        named = choose_channels(opened, options.channels) if options.channels else None
        encoders = {
            name: encoder
            for name, encoder in retriever.encoders.items()
            if named is None or name in named
        }
        request = TuningRequest(
            opened,
            Path(out) if out is not None else default_folder(opened.path),
            options,
            judged.answered_in(opened) if judged else None,
            devset or (ANY_STYLE if judged is None else None),
            apply=ending[0],
            free=ending[1],
        )
        request.check([*encoders])
        yield request, encoders


def _unreported(qrels: Judgements, queries: Path | None = None) -> Qrels:
    """Return judgements that no figure is reported on."""
    if isinstance(qrels, str | Path) and (warning := check_judgements(Path(qrels), queries)):
        warnings.warn(f"{warning}.", stacklevel=3)
    return judgements(qrels)
