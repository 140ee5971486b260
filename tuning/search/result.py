"""What a search for prompts says: figures, and the same as tables."""

from dataclasses import asdict, dataclass
from typing import Any

from embedder.prompts.files import format_prompt
from embedder.prompts.prompt import Prompt
from embedder.text.layout import align_columns, cut_line
from embedder.text.printable import printable
from tuning.search.budget import Cost
from tuning.search.choice import Judgement, PromptGain
from tuning.search.types import Scored

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
        selected: gains of finalists on SELECT, or of fold winners out of fold.
        confirmed: of the one candidate on CONFIRM; None where nothing got that far, and with
            fewer than FEW queries.
        scored: all that was proposed, in order.
        queries: how many in SEARCH, SELECT and CONFIRM.
        spent: in all.
        hits: scores that cost nothing since they were known.
        decision: what the verdict hangs on; None where nothing got as far as a test.

    >>> words = ["tea", "key", "sea", "bee", "oak", "rye"]
    >>> index = lw.build("words.index", words, encoder)
    >>> queries = {word: word for word in words}
    >>> qrels = {word: {str(at): 1} for at, word in enumerate(words)}
    >>> print(lw.tune(index, queries, qrels, budget="4k-tokens"))
    keep the default: +0.0000 out of fold, p = 1; too few queries to certify
    <BLANKLINE>
    SEARCH  prompt ... query wording
    1.0000  first prompts: default ... query : "{text}" in one word : "
    1.0000  first prompts: no words at all ... {text}
    ...
    <BLANKLINE>
    on           prompt                     gain              95 %  p  lower bound
    out of fold  first prompts: default  +0.0000  +0.0000..+0.0000  1       ...
    <BLANKLINE>
    queries: 5 in SEARCH, 4 in SELECT, 0 in CONFIRM
    spent: ... tokens, ... evaluations
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

    def __str__(self) -> str:
        parts = ", ".join(f"{count:,} in {part.upper()}" for part, count in self.queries.items())
        best = [
            (mean, title, cut_line(text, _WORDING)) for mean, title, text in self.best_prompts()
        ]
        tables = [align_columns(best, left=(1, 2))]
        if self.confirmed or self.selected:
            tables.append(align_columns(self.tested_prompts(), left=(0, 1)))
        verdict = f"{self.verdict}: {printable(self.reason)}"
        return "\n\n".join([verdict, *tables, f"queries: {parts}\nspent: {self.spent}"])

    @property
    def best_wording(self) -> PromptGain | None:
        """The best of the wordings that were tested, even where a baseline went on; or None."""
        tested = [gain for gain in self.selected if gain.proposal.prompted]
        return min(tested, key=lambda gain: (gain.p, -gain.gain), default=None)

    @property
    def selected_on(self) -> str:
        """Where `selected` was measured: too few queries are used in folds."""
        return "SELECT" if self.queries["confirm"] else "out of fold"

    def best_prompts(self) -> list[tuple[str, ...]]:
        """Return the rows of a table of the best prompts on SEARCH, the headings first."""
        finished = [result for result in self.scored if result.finished]
        finished.sort(key=lambda result: -result.mean)
        rows = (
            (
                f"{result.mean:.4f}",
                result.proposal.title,
                result.proposal.prompt.forms[0].query[0].text,
            )
            for result in finished[:_BEST]
        )
        return [("SEARCH", "prompt", "query wording"), *rows]

    def tested_prompts(self) -> list[tuple[str, ...]]:
        """Return the rows of a table of tests, the headings first; none without tests."""
        tested = [(self.selected_on, gain) for gain in self.selected]
        if self.confirmed is not None:
            tested.append(("CONFIRM", self.confirmed))
        headings = ("on", "prompt", "gain", "95 %", "p", "lower bound")
        return [headings, *((part, *gain.cells()) for part, gain in tested)] if tested else []

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {
            "verdict": self.verdict,
            "reason": self.reason,
            "prompt": format_prompt(self.prompt),
            "selected": [gain.to_json() for gain in self.selected],
            "confirmed": self.confirmed.to_json() if self.confirmed else None,
            "decision": asdict(self.decision) if self.decision else None,
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
        }
