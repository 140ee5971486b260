"""Run a whole tuning on an index: prepare, search or continue a search, write the outcome."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedder.files.durable import replace_file
from embedder.files.kept_scores import EarlierScores, read_scores
from index.storage.lock import only_writer
from retrieval.retriever import Retriever
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import TuningOptions
from tuning.outcome import JOURNAL, REPORT, write_outcome
from tuning.search.budget import SpentError
from tuning.search.journal import Journal, OtherRunError
from tuning.search.pipeline import tune
from tuning.search.result import TuningOutcome
from tuning.search.rounds import ReportRound, SearchState
from tuning.search.signal import RefusedSignalError
from tuning.setup import OF_INDEX, TuningSetup, check_request, prepare_tuning

CLOCK, LOCK, EARLIER = "seconds.txt", "lock", "earlier.scores"
NOT_EVEN = "the budget does not even pay for the default prompt"
ASK = "`lastword tune --dry-run` says what is needed"
CLOCK_EVERY = 1.0  # seconds between two times of writing down how many were spent


def tune_index(
    retriever: Retriever,
    data: JudgedQueries,
    options: TuningOptions | None = None,
    folder: Path | None = None,
    report: ReportRound = lambda state: None,
) -> TuningOutcome:
    """Search for a better prompt of an index, and write what came of it into a folder.

    The index is not changed; `outcome.apply_prompt` does that. The same call again continues a
    search that was interrupted.

    Args:
        retriever: the index with its encoders, whose channels are tuned together.
        data: judged queries; those without a relevant document in the index are left out.
        options: what is tuned, and how much it may take; its channels are the retriever's.
        folder: journal, prompt and report; by default `default_folder` of the index.
        report: called with the state of the search after every block of queries.

    Raises:
        ValueError: the index has no language model, options that do not go together, or a budget
            that does not even pay for the default prompt.
    """
    index, options = retriever.index, options or TuningOptions()
    folder = folder or default_folder(index.path)
    check_request(index, list(retriever.encoders), options)
    data = data.answered_in(index)
    with own_folder(folder):
        setup = prepare_tuning(index, retriever.encoders, data, options, folder)
        outcome, seconds = run_search(setup, folder, report)
        write_outcome(setup, outcome, folder, seconds)
    return outcome


def default_folder(path: Path) -> Path:
    """Return the folder of an index's tuning, beside the index."""
    return path.with_name(f"{path.name}.tuned")


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Make the folder of a run, and keep other runs out of it; a dead run keeps nobody out.

    Raises:
        BlockingIOError: another run is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    advice = "one run at a time: wait until it ends, or give another folder with --out"
    with only_writer(folder / LOCK, advice):
        yield


def run_search(
    setup: TuningSetup, folder: Path, report: ReportRound
) -> tuple[TuningOutcome, float]:
    """Search, or continue a search; return its outcome and the seconds of all sittings.

    Raises:
        ValueError: the folder is of another run, or the budget does not pay for the default.
    """
    clock = folder / CLOCK
    before = read_seconds(clock)
    earlier, doubt = _begin_with(setup.objective.index.path, folder)
    began = time.monotonic()

    def seconds() -> float:
        return before + time.monotonic() - began

    saved = before

    def report_and_save(state: SearchState) -> None:
        nonlocal saved
        if seconds() - saved >= CLOCK_EVERY:
            saved = seconds()
            replace_file(clock, f"{saved:.1f}".encode())
        report(state)

    known = {"earlier": earlier.digest} if earlier.digest else {}
    heading = {**setup.heading, **known}
    with _open_journal(setup, folder, heading) as journal:
        try:
            outcome = tune(setup.task, setup.budget, journal, report_and_save, before, earlier)
        except SpentError as error:
            if "scores" not in journal.kinds:
                _forget(folder)
            raise ValueError(f"{NOT_EVEN}: {error}; {ASK}") from error
        except RefusedSignalError:
            _forget(folder)
            raise
        finally:
            doubt += _leave(earlier, setup.objective.index.path)
    replace_file(clock, f"{seconds():.1f}".encode())
    return replace(outcome, remarks=(*outcome.remarks, *doubt)), seconds()


def scores_file(index: Path) -> Path:
    """Return where the scores of an index's tuning runs are kept, beside the index."""
    return index.with_name(f"{index.name}.scores")


def _begin_with(index: Path, folder: Path) -> tuple[EarlierScores, list[str]]:
    """Return the scores that a run begins with, and what there is to say.

    They are copied into its folder, so that it is taken up with the same ones.

    Raises:
        ValueError: those of a run that is taken up are damaged.
    """
    copy = folder / EARLIER
    if (folder / JOURNAL).exists():
        try:
            return read_scores(copy), []
        except ValueError as error:
            raise ValueError(f"{error}; another folder, --out, takes another run") from error
    try:
        scores, doubt = read_scores(scores_file(index)), list[str]()
    except (ValueError, OSError) as error:
        scores, doubt = EarlierScores(), [f"scores of earlier runs: {error}"]
    if scores.digest:
        scores.write(copy)
    else:
        copy.unlink(missing_ok=True)
    return scores, doubt


def _leave(scores: EarlierScores, index: Path) -> list[str]:
    """Add the scores of a run to those beside its index; say why if that cannot be."""
    if not scores.added:
        return []
    place = scores_file(index)
    try:
        try:
            known = read_scores(place)  # another run may have ended meanwhile
        except ValueError:
            known = EarlierScores()
        known.joined(scores.added).write(place)
    except OSError as error:
        return [f"scores are not kept for later runs: {error}"]
    return []


def _forget(folder: Path) -> None:
    """Let other settings use the folder: nothing was searched."""
    (folder / JOURNAL).unlink()
    (folder / CLOCK).unlink(missing_ok=True)


def _open_journal(setup: TuningSetup, folder: Path, heading: Mapping[str, Any]) -> Journal:
    try:
        return Journal(folder / JOURNAL, heading)
    except OtherRunError as error:
        if not error.keys & OF_INDEX:
            raise
        raise ValueError(
            f"{setup.objective.index.path} has changed since {folder} was begun: its query prompt, "
            "as --apply changes it, or its documents; what came of that run is in "
            f"{folder / REPORT}, and another folder, --out, takes another run"
        ) from error


def read_seconds(clock: Path) -> float:
    """Return how long earlier sittings took, 0 where there were none."""
    try:
        with clock.open(encoding="utf-8", errors="replace") as file:
            text = file.read(100)
    except FileNotFoundError:
        return 0.0
    if not re.fullmatch(r"[0-9]{1,12}\.[0-9]", text):
        raise ValueError(
            f"{clock} should hold the seconds that were spent, such as 12.3; got {text[:40]!r}: "
            "write them there, or remove the file to count from 0"
        )
    return float(text)
