"""What is asked of a tuning, by the command or from Python: checked, prepared, run and applied."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedder.types import Encoder
from eval.synthesis.devset import DevsetOptions
from index.folder import Index
from index.manifest_file import MANIFEST
from tuning.objectives.judged_queries import JudgedQueries
from tuning.options import AUTO, TuningOptions
from tuning.outcome import apply_prompt, check_applicable, named_prompt, write_outcome
from tuning.run import own_folder, run_search
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.rounds import ReportRound
from tuning.setup import TuningSetup, check_request, prepare_tuning
from tuning.unjudged import Unjudged, kept_queries, make_queries, prepare_unjudged

JudgedOrMade = JudgedQueries | Unjudged
"""What a tuning goes by: judged queries, or made ones with what stands in for judgements."""


@dataclass(frozen=True, slots=True)
class TuningRequest:
    """A tuning that somebody asks for.

    Attributes:
        index: opened.
        folder: of the run.
        options: what is tuned, and how much it may take.
        data: judged queries that have answers in the index, if there are any.
        devset: which queries are made, to be tuned on; None goes by the judged ones.
        measure: by which made queries are scored.
        apply: whether a new query prompt is written into the index.
        free: whether the index is allowed another query prompt for it.
    """

    index: Index
    folder: Path
    options: TuningOptions
    data: JudgedQueries | None = None
    devset: DevsetOptions | None = None
    measure: str = "nDCG@10"
    apply: bool = False
    free: bool = False

    def check(self, channels: list[str]) -> None:
        """Refuse what cannot be done, or not be applied in the end, before any work.

        Args:
            channels: that are tuned together.

        Raises:
            ValueError: as `setup.check_request` and `outcome.check_applicable` do.
        """
        check_request(self.index, channels, self.options)
        if (self.folder / MANIFEST).exists():
            raise ValueError(f"{self.folder} is an index; give the run a folder of its own, --out")
        if self.apply:
            check_applicable(self.index, self.options.tune, self.free)

    def source(self, progress: Callable[[int], None] = lambda done: None) -> JudgedOrMade:
        """Return what the run goes by; made queries are kept in its folder, which is its own."""
        if self.devset is None:
            assert self.data is not None  # or else queries are made
            return self.data
        made = make_queries(self.index, self.devset, self.options, self.folder, progress)
        return Unjudged(made, self.data, self.measure)

    def source_of_estimate(
        self, progress: Callable[[int], None] = lambda done: None
    ) -> JudgedOrMade:
        """Return the same for an estimate, which asks no chat model; the run finds what is made.

        Raises:
            ValueError: a chat model would have to make the queries.
        """
        devset, writer = self.devset, self.options.writer
        if devset is None:
            return self.source()
        made = kept_queries(self.index, devset, writer, self.folder)
        if made is None and devset.style == "chat":
            raise ValueError(
                "a dry run asks no chat model; give another --style, or lastword devset"
            )
        if made is None and writer and devset.style == AUTO:  # which may make others in the run
            made = make_queries(self.index, devset, progress=progress)
        if made is None:
            with own_folder(self.folder):
                made = make_queries(self.index, devset, self.options, self.folder, progress)
        return Unjudged(made, self.data, self.measure)

    def prepare(self, encoders: Mapping[str, Encoder], source: JudgedOrMade) -> TuningSetup:
        """Prepare the search.

        Args:
            encoders: of the channels that are tuned together, in their order.
            source: what it goes by.

        Raises:
            ValueError: as `prepare_tuning` and `prepare_unjudged` do.
        """
        if isinstance(source, Unjudged):
            return prepare_unjudged(self.index, encoders, source, self.options, self.folder)
        return prepare_tuning(self.index, encoders, source, self.options, self.folder)

    def run(
        self, setup: TuningSetup, report: ReportRound = lambda state: None
    ) -> tuple[TuningOutcome, dict[str, Any]]:
        """Search, or go on with a search; write what came of it, and return that and its figures.

        Raises:
            ValueError: the folder is of another run, or the budget does not pay for the default.
        """
        outcome, seconds = run_search(setup, self.folder, report)
        return outcome, write_outcome(setup, outcome, self.folder, seconds)

    def finish(self, setup: TuningSetup, outcome: TuningOutcome) -> bool:
        """Write a new query prompt into the index, where that is asked for; return if it was.

        Raises:
            ValueError: the index does not allow it, or its documents would have to be read again.
        """
        applied = self.apply and outcome.verdict == CHANGE
        if applied:
            apply_prompt(self.index.path, setup, named_prompt(outcome), self.free)
        return applied
