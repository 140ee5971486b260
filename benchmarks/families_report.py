"""What a comparison of prompts found: as rows of a table, as records, and as a page."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.record import surroundings

SETS = {"stsb-dev": "STS-B dev", "sickr-test": "SICK-R test"}
MEAN = "plain mean"
UNIT = "prompteol"  # what cost is relative to, as in the papers
TIMED = 256  # sentences
ROUNDS = 3
HEADINGS = (
    *("prompt", "passes", "tokens", "seconds"),
    *(heading for title in SETS.values() for heading in (title, "+-")),
    "beside the plain mean",
)


@dataclass(slots=True)
class Outcome:
    """One prompt: Spearman by set, and what a text costs.

    Attributes:
        spearman: name of the set -> correlation, -1..1.
        passes: how often a text enters the model.
        tokens: computed per text, those that leave after half of the blocks counted half.
        seconds: for TIMED sentences, one value a round.
        truncated: sentences that were cut.
    """

    spearman: Mapping[str, float]
    passes: float
    tokens: float
    truncated: int
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found for a model, and which prompts could not be judged, with the reason.

    Attributes:
        facts: model, its number of blocks, dtype and device.
        pairs: name of a set -> its number of pairs.
        sources: prompt -> who wrote it.
        outcomes: prompt -> outcome; MEAN is one of them.
        left_out: prompt -> why it is not among the outcomes.
    """

    facts: Mapping[str, object]
    pairs: Mapping[str, int]
    sources: Mapping[str, str]
    outcomes: Mapping[str, Outcome]
    left_out: Mapping[str, str]

    @property
    def unit(self) -> str:
        """The prompt whose cost is 1."""
        return UNIT if UNIT in self.outcomes else MEAN

    def ratios(self, name: str) -> list[float]:
        """Return how long a prompt took relative to the unit, one value a round."""
        pairs = zip(self.outcomes[name].seconds, self.outcomes[self.unit].seconds, strict=True)
        return [mine / other for mine, other in pairs]

    def rows(self) -> list[list[str]]:
        """Return the cells of each prompt under HEADINGS, the best mean over the sets first."""
        plain, unit = self.outcomes[MEAN], self.outcomes[self.unit]
        rows = []
        for name in sorted(self.outcomes, key=self._mean, reverse=True):
            outcome = self.outcomes[name]
            gains = {key: outcome.spearman[key] - plain.spearman[key] for key in SETS}
            figures = [
                f"{100 * value:{form}}"
                for key in SETS
                for value, form in ((outcome.spearman[key], ".2f"), (gains[key], "+.2f"))
            ]
            cost = [
                f"{outcome.passes:.1f}",
                f"{outcome.tokens / unit.tokens:.2f}",
                f"{statistics.median(self.ratios(name)):.2f}",
            ]
            worse = [title for key, title in SETS.items() if gains[key] < 0]
            sets = "both" if len(worse) == len(SETS) else "".join(worse)
            rows.append([name, *cost, *figures, f"worse on {sets}" if worse else ""])
        return rows

    def _mean(self, name: str) -> float:
        return statistics.fmean(self.outcomes[name].spearman.values())

    def records(self) -> Iterator[dict[str, object]]:
        """Return what is kept of each prompt."""
        plain = self.outcomes[MEAN]
        for name, outcome in self.outcomes.items():
            yield {
                "name": f"families/{name}",
                **self.facts,
                "spearman": dict(outcome.spearman),
                "pairs": dict(self.pairs),
                "baseline": "mean of the states of the text's tokens, no wording",
                "baseline_spearman": dict(plain.spearman),
                "passes_per_text": outcome.passes,
                "tokens_per_text": outcome.tokens,
                "seconds_median": statistics.median(outcome.seconds),
                "seconds_min_max": [min(outcome.seconds), max(outcome.seconds)],
                "baseline_seconds_median": statistics.median(plain.seconds),
                "sentences": TIMED,
                "repeats": ROUNDS,
                "ratio_to": self.unit,
                "seconds_ratio_min_max": [min(self.ratios(name)), max(self.ratios(name))],
                "truncated": outcome.truncated,
            }

    def page(self, command: str) -> str:
        """Write the table as a page that says how it came about."""
        place = surroundings()
        judged = ", ".join(f"{title} ({self.pairs[key]:,} pairs)" for key, title in SETS.items())
        versions = ", ".join(f"{name} {place[name]}" for name in ("torch", "transformers"))
        lines = [
            "# Ways of reading a text, compared",
            "",
            f"`{command}`",
            "",
            f"Model {self.facts['model']} ({self.facts['blocks']} blocks, {self.facts['dtype']}, "
            f"{self.facts['device']}); "
            f"{place['machine']}, {place['cores']} cores; {versions}; commit {place['commit']}, "
            f"{place['date']}.",
            "",
            f"Spearman x100 over all pairs of {judged}; +- is the difference to the plain mean, "
            "the mean of the states of the text's tokens without any wording; differences are not "
            "tested. Passes: how often a text enters the model. Tokens: those that the model "
            f"computes for a text, relative to {self.unit}; a prefix that all texts share is "
            "computed once, and a pass that stops early counts for the blocks that it ran. "
            f"Seconds: likewise relative, median of {ROUNDS} rounds of {TIMED} sentences, all "
            "prompts in turns; ranges are in benchmarks/results.jsonl.",
            "",
            *_table([list(HEADINGS), *self.rows()]),
            "",
            "Where they come from:",
            "",
            *(f"- {name}: {self.sources[name]}" for name in self.outcomes if name != MEAN),
        ]
        if self.left_out:
            lines += ["", "Not in the table:", ""]
            lines += [f"- {name}: {reason}" for name, reason in self.left_out.items()]
        cut = sum(outcome.truncated for outcome in self.outcomes.values())
        lines += ["", f"Sentences that were cut, over all prompts: {cut}."]
        return "\n".join(lines) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Write rows in Markdown, the first as headings, with numbers to the right."""
    sides = ["---", *["---:"] * (len(HEADINGS) - 2), "---"]
    for row in (rows[0], sides, *rows[1:]):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
