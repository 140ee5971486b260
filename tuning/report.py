"""The report of a search for prompts, as one page of HTML."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from embedder.prompts.prompt import Prompt
from embedder.prompts.template import Template
from embedder.types import Role
from eval.report.figures import figures
from eval.report.listings import Listing
from eval.report.page import FOLDER, STYLE, environment
from eval.report.plots import Plot
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.signal_check import SignalCheck
from tuning.objectives.validity import THRESHOLD, rows
from tuning.search.choice import PromptGain
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.signal import Signal
from tuning.search.types import proposer_title
from tuning.search.wording import AS_DEFAULT, reading_of
from tuning.setup import TuningSetup

TEMPLATE = "tuning.html.j2"
SHOWN = 12  # queries won and lost most; and the best prompts


@dataclass(frozen=True, slots=True)
class TuningFacts:
    """What the page is made of.

    Attributes:
        setup: what was tuned, and how.
        outcome: of the search.
        seconds: wall time of all sittings.
        rebuild: what of the index must be made again.
    """

    setup: TuningSetup
    outcome: TuningOutcome
    seconds: float
    rebuild: str

    @property
    def data(self) -> JudgedQueries:
        """Queries and judgements."""
        return self.setup.objective.data

    @property
    def tested(self) -> PromptGain | None:
        """The gain that is reported, query by query."""
        return self.outcome.confirmed or self.outcome.tested

    @property
    def changed(self) -> bool:
        """Whether a new prompt is taken."""
        return self.outcome.verdict == CHANGE

    @property
    def wordings(self) -> list[str]:
        """How each role that was tuned is worded now, and what else is other than before."""
        prompt, default = self.outcome.prompt, self.outcome.default
        lines = [
            f"{role.value}: {_wording(prompt.forms[0].templates(role))}"
            for role in self.setup.space.roles
        ]
        rules = reading_of(prompt, default)
        return [*lines, *([rules] if rules else [])]

    @property
    def measure(self) -> str:
        """What prompts were scored by."""
        signal = self.setup.task.signal
        return signal.measure if signal else self.data.measure

    @property
    def queries_note(self) -> str:
        """How many queries there are, and who made them."""
        made = "" if self.setup.task.signal is None else "made "
        return f"{len(self.data.queries):,} {made}queries"

    @property
    def split_note(self) -> str:
        """How queries were used, in a sentence."""
        if self.outcome.folded:
            return (
                "used in folds: each judges what a search on the folds before it found, and the "
                "last, CONFIRM, the one prompt that may be taken. p is of all folds, and says "
                "whether searching finds gains; the gain is the prompt's own on CONFIRM"
            )
        return (
            "split into SEARCH, SELECT and CONFIRM; queries that are nearly the same, by their "
            "words or relevant documents, stay together"
        )

    @property
    def listings(self) -> list[Listing]:
        """All tables."""
        return [
            *_signal(self.setup.task.signal),
            *_gains(self.outcome),
            *_sensitivity(self.outcome),
            _prompts(self),
            *_queries(self),
            _costs(self),
        ]

    @property
    def drawings(self) -> list[Plot]:
        """Query by query against the default, and every wording on the first block."""
        return [*self._differences(), *self._wordings()]

    def _differences(self) -> Iterator[Plot]:
        tested = self.tested
        if tested is None:
            return
        base = dict.fromkeys(tested.differences, 0.0)
        drawn = figures.SystemPair(
            "tuned", ("default", "prompt"), self.measure, base, tested.differences, {}, {}
        )
        reach = (tested.interval.low, tested.interval.high) if tested.interval else None
        part = "CONFIRM" if self.outcome.confirmed else self.outcome.selected_on
        heading = f"Every query, from won to lost ({part})"
        yield Plot("gains", heading, figures.differences(drawn, reach))

    def _wordings(self) -> Iterator[Plot]:
        found = self.outcome.sensitivity
        if found is None:
            return
        values = {f"{at}": mean for at, mean in enumerate(found.means)}
        values["the default"] = found.default
        heading = f"Every wording on the first {found.queries} queries"
        drawing = figures.sensitivity("wordings", {"wordings": values}, self.measure, "the default")
        yield Plot("wordings", heading, drawing)


def page(facts: TuningFacts) -> str:
    """Write the page; equal facts give equal pages."""
    css = (FOLDER / STYLE).read_text(encoding="utf-8")
    return environment().get_template(TEMPLATE).render(facts=facts, css=css) + "\n"


def _gains(outcome: TuningOutcome) -> Iterator[Listing]:
    tested = [(outcome.selected_on, gain) for gain in outcome.selected]
    tested += [("CONFIRM", outcome.confirmed)] if outcome.confirmed else []
    if not tested:
        return
    yield Listing(
        "gains-table",
        "Gain over the default",
        (
            "on", "prompt", ">units", ">default", ">prompt", ">gain", "95 % interval", ">p",
            ">won", ">tied", ">lost", ">worst ten", ">lower bound", ">McAllester",
        ),
        tuple(
            (
                part,
                outcome.title_of(gain),
                str(gain.units or "-"),
                f"{gain.default:.4f}",
                f"{gain.mean:.4f}",
                f"{gain.gain:+.4f}",
                f"{gain.interval.low:+.4f} to {gain.interval.high:+.4f}" if gain.interval else "-",
                f"{gain.p:.3g}",
                str(gain.outcomes.wins),
                str(gain.outcomes.ties),
                str(gain.outcomes.losses),
                f"{gain.worst:+.3f}",
                f"{gain.bound:+.3f}",
                f"{gain.mcallester:+.3f}",
            )
            for part, gain in tested
        ),
        f"p: one-sided, by sign flips of units{_adjusted(outcome)}. Lower bound: the mean gain on "
        "queries of the same kind is above it, by a betting bound that is wrong with probability "
        f"0.05; McAllester's bound beside it.{_selected(outcome)}",
    )  # fmt: skip


def _signal(signal: Signal | None) -> Iterator[Listing]:
    """Lay out what stood in for judgements, and how it orders prompts beside those there are."""
    if not isinstance(signal, SignalCheck):
        return
    yield Listing(
        "signal",
        "In place of judgements",
        ("held against", ">prompts", ">Kendall's tau", "95 % interval", "usable"),
        tuple(tuple(row) for row in rows(signal.validities)),
        f"{signal.describe()}. Kendall's tau is 1 where it orders prompts just as judgements do, "
        f"0 where no more than by chance; a mean below {THRESHOLD} is refused.",
    )


def _selected(outcome: TuningOutcome) -> str:
    return "" if outcome.folded else " On SELECT they are of the best of several, and no bounds."


def _adjusted(outcome: TuningOutcome) -> str:
    if outcome.folded:
        return ", later folds weighing more"
    return "; on SELECT adjusted for all finalists"


def _sensitivity(outcome: TuningOutcome) -> Iterator[Listing]:
    found = outcome.sensitivity
    if found is None:
        return
    cells = (found.means[0], *found.quartiles, found.means[-1], found.default)
    yield Listing(
        "sensitivity",
        "Prompt sensitivity",
        (">wordings", ">lowest", ">quartile", ">median", ">quartile", ">highest", ">default",
         ">worse than the default"),
        ((f"{len(found.means):,}", *(f"{cell:.4f}" for cell in cells), f"{found.worse:,}"),),
        f"All that differs from the default in words alone, on the first {found.queries} queries "
        "of SEARCH, before races dropped anything: how much the model hangs on its prompt. Many "
        "wordings are changes of good ones, so that those of chance would lie lower.",
    )  # fmt: skip


def _prompts(facts: TuningFacts) -> Listing:
    last, default = facts.outcome.last_search, facts.outcome.default
    done = sorted((each for each in last if each.finished), key=lambda each: -each.mean)
    means, roles = [result.mean for result in done], facts.setup.space.roles
    rules = [reading_of(result.proposal.prompt, default) for result in done[:SHOWN]]
    spread = (
        f"{len(done)} of {len(last)} prompts were raced to the end"
        f"{' of the last search' if facts.outcome.folded else ''}: from {min(means):.4f} to "
        f"{max(means):.4f}, median {statistics.median(means):.4f}. SEARCH flatters the best."
    )
    return Listing(
        "prompts",
        "Prompts on SEARCH",
        (
            ">mean",
            "made by",
            "how",
            *(f"{role.value} wording" for role in roles),
            *(["read by"] if any(rules) else []),
        ),
        tuple(
            (
                f"{result.mean:.4f}",
                proposer_title(result.proposal.made_by),
                result.proposal.how,
                *(_worded(result.proposal.prompt, default, role) for role in roles),
                *([rule] if any(rules) else []),
            )
            for result, rule in zip(done, rules, strict=False)
        ),
        spread,
    )


def _worded(prompt: Prompt, default: Prompt, role: Role) -> str:
    templates = prompt.forms[0].templates(role)
    if prompt != default and templates == default.forms[0].templates(role):
        return AS_DEFAULT
    return _wording(templates)


def _wording(templates: Sequence[Template]) -> str:
    return " | ".join(template.text for template in templates)


def _queries(facts: TuningFacts) -> Iterator[Listing]:
    tested = facts.tested
    if tested is None:
        return
    order = sorted(tested.differences, key=lambda query: (-tested.differences[query], query))
    for key, heading, queries in (
        ("won", "Queries won most", order[:SHOWN]),
        ("lost", "Queries lost most", order[::-1][:SHOWN]),
    ):
        rows = tuple(
            (f"{tested.differences[query]:+.4f}", query, facts.data.queries[query])
            for query in queries
            if (tested.differences[query] > 0) == (key == "won") and tested.differences[query]
        )
        if rows:
            yield Listing(key, heading, (">difference", "query", "text"), rows, "")


def _costs(facts: TuningFacts) -> Listing:
    outcome = facts.outcome
    lost = sum(not result.finished for result in outcome.scored)
    rows = (
        ("budget", str(facts.setup.budget)),
        *((f"tokens of a query, {name}", f"{n:.1f}") for name, n in outcome.query_tokens.items()),
        ("tokens", f"{outcome.spent.tokens:,}"),
        ("calls of a chat model", f"{outcome.spent.calls:,}"),
        ("tokens of the chat model", f"{outcome.spent.chat_tokens:,}"),
        ("prompts times queries", f"{outcome.spent.evaluations:,}"),
        ("scores known before, free", f"{outcome.hits:,}"),
        ("of these from an earlier run", f"{outcome.earlier:,}"),
        ("wall time", f"{facts.seconds:,.0f} s"),
        ("prompts proposed", f"{len(outcome.scored):,}"),
        ("races lost early", f"{lost:,}"),
    )
    return Listing("costs", "What it took", ("what", "how much"), rows, "")
