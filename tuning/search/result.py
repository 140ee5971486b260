"""What a search for prompts says: figures, and the same as tables."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from embedder.prompts.files import format_prompt
from embedder.prompts.prompt import Prompt
from embedder.text.layout import align_columns, cut_line
from embedder.text.printable import printable
from tuning.search.budget import Cost
from tuning.search.choice import Judgement, PromptGain
from tuning.search.refresh import Refresh
from tuning.search.sensitivity import Sensitivity
from tuning.search.split import SplitPlan
from tuning.search.types import Proposal, Scored
from tuning.search.wording import (
    BestWording,
    cautions,
    describe_change,
    describe_detectable,
    describe_split,
    reading_of,
    wording_of,
)

KEEP, CHANGE = "keep the default", "take the new prompt"
_BEST = 10  # prompts of a table
_WORDING = 80  # characters of a prompt in a text


@dataclass(frozen=True, slots=True)
class TuningOutcome:
    """What a run says.

    Attributes:
        verdict: KEEP or CHANGE.
        reason: why, in one sentence.
        prompt: what to use.
        selected: gains of finalists on SELECT; of folds one, of what each search found.
        confirmed: of the one candidate on CONFIRM; None where nothing got that far.
        scored: all that was proposed, in order.
        queries: how many in SEARCH, SELECT and CONFIRM; of folds, how many were searched by,
            judged by before the last fold, and are in that.
        spent: in all.
        hits: scores that cost nothing since they were known.
        decision: what the verdict hangs on; None where nothing got as far as a test.
        plan: how queries were split; None in outcomes that were put together by hand.
        remarks: what could not be tried, and why.
        sensitivity: how far wordings lie apart; None where one was scored only.
        query_tokens: mean tokens of a query by the name of its prompt, "default" and "chosen";
            empty where tokens are not what an objective costs.
        signal: what stood in for judgements, and how it was tried; "" where there were some.
        earlier: scores of earlier runs, which cost nothing.
        refresh: how finalists were ranked where a search reads some documents only.
        alpha: level of the tests.

    >>> words = ["tea", "key", "sea", "bee", "oak", "rye"]
    >>> index = lw.build("words.index", words, encoder)
    >>> queries = {word: word for word in words}
    >>> qrels = {word: {str(at): 1} for at, word in enumerate(words)}
    >>> print(lw.tune(index, queries, qrels, budget="4k-tokens"))
    keep the default: ...
    """

    verdict: str
    reason: str
    prompt: Prompt
    selected: tuple[PromptGain, ...]
    confirmed: PromptGain | None
    scored: tuple[Scored, ...]
    queries: dict[str, int]
    spent: Cost
    hits: int
    decision: Judgement | None = None
    plan: SplitPlan | None = None
    remarks: tuple[str, ...] = ()
    sensitivity: Sensitivity | None = None
    query_tokens: Mapping[str, float] = field(default_factory=dict)
    signal: str = ""
    earlier: int = 0
    refresh: Refresh | None = None
    alpha: float = 0.05

    def __str__(self) -> str:
        best = self.best_prompts()
        last = len(best[0]) - 1
        tables = [[(*row[:last], cut_line(row[last], _WORDING)) for row in best]]
        tables += [rows] if (rows := self.tested_prompts()) else []
        verdict = f"{self.headline}: {printable(self.reason)}"
        facts = [f"{label}: {printable(text)}" for label, text in self.facts()]
        aligned = [align_columns(tables[0], left=range(1, last + 1))]
        aligned += [align_columns(table, left=(0, 1)) for table in tables[1:]]
        return "\n\n".join([verdict, *aligned, "\n".join(facts)])

    @property
    def default(self) -> Prompt:
        """The prompt that others were compared with."""
        return self.scored[0].proposal.prompt

    @property
    def taken(self) -> Proposal | None:
        """What is taken instead of the default; None where that stays."""
        if self.verdict == KEEP:
            return None
        return next(each.proposal for each in self.scored if each.proposal.prompt == self.prompt)

    @property
    def headline(self) -> str:
        """The verdict, and what is taken if it is not words."""
        return describe_change(self.taken, self.default) if self.taken else self.verdict

    @property
    def tested(self) -> PromptGain | None:
        """What p is of: CONFIRM, else the best on SELECT; with folds all that searches found."""
        if self.confirmed is not None and not self.folded:
            return self.confirmed
        return max(self.selected, key=lambda gain: gain.gain, default=None)

    @property
    def last_search(self) -> tuple[Scored, ...]:
        """Results of the search that saw most queries: of folds the last one, else all."""
        begins = [at for at, each in enumerate(self.scored) if each.proposal.prompt == self.default]
        return self.scored[begins[-1] :]

    @property
    def best_wording(self) -> BestWording | None:
        """The best wording beside the default, even where a baseline went on; None without any."""
        part, gains = ("CONFIRM", [self.confirmed]) if self.folded else ("SELECT", self.selected)
        tested = [gain for gain in gains if gain is not None and self._reworded(gain.proposal)]
        if tested:
            best = min(tested, key=lambda gain: gain.order(self.alpha))
            return BestWording(best.proposal, part, best.default, best.mean, best.interval)
        worded = (each for each in self._ranked() if self._reworded(each.proposal))
        first = next(worded, None)
        if first is None:
            return None
        default = self.last_search[0].mean
        return BestWording(first.proposal, "SEARCH", default, first.mean)

    def _reworded(self, proposal: Proposal) -> bool:
        default, prompt = self.default, proposal.prompt
        return proposal.prompted and prompt.adapt == default.adapt and prompt.forms != default.forms

    def _ranked(self) -> list[Scored]:
        finished = (result for result in self.last_search if result.finished)
        return sorted(finished, key=lambda result: -result.mean)

    @property
    def folded(self) -> bool:
        """Whether queries were too few for SEARCH, SELECT and CONFIRM."""
        return self.plan.folded if self.plan else not self.queries["confirm"]

    @property
    def selected_on(self) -> str:
        """Where `selected` was measured."""
        return "all folds" if self.folded else "SELECT"

    def best_prompts(self) -> list[tuple[str, ...]]:
        """Return the rows of a table of the best prompts on SEARCH, the headings first."""
        best = [(result.mean, result.proposal) for result in self._ranked()[:_BEST]]
        rules = [reading_of(proposal.prompt, self.default) for _, proposal in best]
        rows = [
            (
                f"{mean:.4f}",
                proposal.title,
                *([rule] if any(rules) else []),
                wording_of(proposal.prompt, self.default),
            )
            for (mean, proposal), rule in zip(best, rules, strict=True)
        ]
        return [("SEARCH", "prompt", *(["read by"] if any(rules) else []), "query wording"), *rows]

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield what else there is to say, each with a label: split, wordings, cost, cautions."""
        tested = self.tested
        if self.signal:
            yield "judged by", self.signal
        if self.plan:
            yield "queries", describe_split(self.plan)
            yield "smallest gain to detect", describe_detectable(self.plan, tested)
        else:
            parts = (f"{count:,} in {part.upper()}" for part, count in self.queries.items())
            yield "queries", ", ".join(parts)
        if best := self.best_wording:
            wording = wording_of(best.proposal.prompt, self.default)
            yield "best wording", f"{best}: {wording} ({best.proposal.title})"
        if self.sensitivity:
            yield "prompt sensitivity", str(self.sensitivity)
        if any(self.query_tokens.values()):
            texts = (f"{tokens:.1f} ({name})" for name, tokens in self.query_tokens.items())
            yield "tokens of a query", ", ".join(texts)
        if self.refresh:
            yield "finalists", str(self.refresh)
        for remark in self.remarks:
            yield "left out", remark
        for caution in cautions(tested) if tested else ():
            yield "mind", caution
        yield "spent", str(self.spent)
        if self.earlier:
            yield "free", f"{self.earlier:,} scores from an earlier run"

    def tested_prompts(self) -> list[tuple[str, ...]]:
        """Return the rows of a table of tests, the headings first; none without tests."""
        tested = [(self.selected_on, gain) for gain in self.selected]
        if self.confirmed is not None:
            tested.append(("CONFIRM", self.confirmed))
        headings = ("on", "prompt", "gain", "95 %", "p", "lower bound")
        rows = [(part, self.title_of(gain), *gain.cells()[1:]) for part, gain in tested]
        return [headings, *rows] if tested else []

    def title_of(self, gain: PromptGain) -> str:
        """Return what a tested gain is of: in all folds it is that of several searches' winners."""
        shared = self.folded and gain is not self.confirmed
        return "what each search found, not one prompt" if shared else gain.proposal.title

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "prompt": format_prompt(self.prompt),
            "selected": [gain.to_json() for gain in self.selected],
            "confirmed": self.confirmed.to_json() if self.confirmed else None,
            "decision": asdict(self.decision) if self.decision else None,
            "headline": self.headline,
            "folded": self.folded,
            "units": self.plan.units if self.plan else None,
            "detectable": self._detectable(),
            "best_wording": self._best_wording_json(),
            "sensitivity": asdict(self.sensitivity) if self.sensitivity else None,
            "query_tokens": dict(self.query_tokens),
            "remarks": list(self.remarks),
            "proposals": [
                {
                    "made_by": result.proposal.made_by,
                    "how": result.proposal.how,
                    "mean": result.mean,
                    "queries": len(result.scores),
                    "decision": result.decision,
                }
                for result in self.scored
            ],
            "queries": self.queries,
            "spent": asdict(self.spent),
            "cache_hits": self.hits,
            "scores_from_earlier_runs": self.earlier,
            "refresh": asdict(self.refresh) if self.refresh else None,
        }

    def _detectable(self) -> float | None:
        finite = self.plan is not None and math.isfinite(self.plan.detectable)
        return self.plan.detectable if self.plan and finite else None

    def _best_wording_json(self) -> dict[str, Any] | None:
        best = self.best_wording
        if best is None:
            return None
        return {
            "made_by": best.proposal.made_by,
            "how": best.proposal.how,
            "query": wording_of(best.proposal.prompt, self.default),
            "part": best.part,
            "default": best.default,
            "mean": best.mean,
            "interval": asdict(best.interval) if best.interval else None,
        }
