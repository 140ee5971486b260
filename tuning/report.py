"""The report of a search for prompts, as one page of HTML."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from embedder.prompts.template import Template
from eval.report.figures import figures
from eval.report.listings import Listing
from eval.report.page import FOLDER, STYLE, environment
from eval.report.plots import Plot
from tuning.objectives.judged_queries import JudgedQueries
from tuning.search.choice import PromptGain
from tuning.search.result import CHANGE, TuningOutcome
from tuning.search.types import proposer_title
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
        """What the verdict hangs on: CONFIRM, else the best on SELECT or out of fold."""
        if self.outcome.confirmed is not None:
            return self.outcome.confirmed
        return max(self.outcome.selected, key=lambda gain: gain.gain, default=None)

    @property
    def changed(self) -> bool:
        """Whether a new prompt is taken."""
        return self.outcome.verdict == CHANGE

    @property
    def wordings(self) -> list[str]:
        """The new wording of each role that was tuned, and the fusion."""
        prompt = self.outcome.prompt
        lines = [
            f"{role.value}: {_wording(prompt.forms[0].templates(role))}"
            for role in self.setup.space.roles
        ]
        return [*lines, f"fusion: {prompt.fusion}"] if prompt.fusion else lines

    @property
    def listings(self) -> list[Listing]:
        """All tables."""
        return [
            *_gains(self.outcome),
            _prompts(self),
            *_queries(self),
            _costs(self),
        ]

    @property
    def drawings(self) -> list[Plot]:
        """Query by query, against the default."""
        tested = self.tested
        if tested is None:
            return []
        base = dict.fromkeys(tested.differences, 0.0)
        drawn = figures.SystemPair(
            "tuned", ("default", "prompt"), self.data.measure, base, tested.differences, {}, {}
        )
        reach = (tested.interval.low, tested.interval.high) if tested.interval else None
        return [Plot("gains", "Every query, from won to lost", figures.differences(drawn, reach))]


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
            "on", "prompt", ">default", ">prompt", ">gain", "95 % interval", ">p",
            ">won", ">tied", ">lost", ">worst ten", ">lower bound", ">McAllester",
        ),
        tuple(
            (
                part,
                gain.proposal.title,
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
        "p by sign flips; on SELECT corrected by Holm over finalists. Lower bound: the mean "
        "gain on queries of the same kind is above it, by a betting bound that is wrong with "
        "probability 0.05; McAllester's bound beside it. Both hold for queries drawn "
        "independently: queries about one topic make them too sure. On SELECT they are of the "
        "best of several, and no lower bound.",
    )  # fmt: skip


def _prompts(facts: TuningFacts) -> Listing:
    done = sorted(
        (result for result in facts.outcome.scored if result.finished),
        key=lambda result: -result.mean,
    )
    means, roles = [result.mean for result in done], facts.setup.space.roles
    spread = (
        f"{len(done)} of {len(facts.outcome.scored)} prompts were raced to the end: from "
        f"{min(means):.4f} to {max(means):.4f}, median {statistics.median(means):.4f}. "
        "How far they lie apart is how much the model hangs on its prompt; races end early for "
        "bad prompts, so the spread of all is larger. SEARCH flatters the best."
    )
    return Listing(
        "prompts",
        "Prompts on SEARCH",
        (
            ">mean",
            "made by",
            "how",
            *(f"{role.value} wording" for role in roles),
            "fusion",
        ),
        tuple(
            (
                f"{result.mean:.4f}",
                proposer_title(result.proposal.made_by),
                result.proposal.how,
                *(_wording(result.proposal.prompt.forms[0].templates(role)) for role in roles),
                result.proposal.prompt.fusion,
            )
            for result in done[:SHOWN]
        ),
        spread,
    )


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
        ("tokens", f"{outcome.spent.tokens:,}"),
        ("calls of a chat model", f"{outcome.spent.calls:,}"),
        ("tokens of the chat model", f"{outcome.spent.chat_tokens:,}"),
        ("prompts times queries", f"{outcome.spent.evaluations:,}"),
        ("scores known before, free", f"{outcome.hits:,}"),
        ("wall time", f"{facts.seconds:,.0f} s"),
        ("prompts proposed", f"{len(outcome.scored):,}"),
        ("races lost early", f"{lost:,}"),
        ("queries", ", ".join(f"{name} {count:,}" for name, count in outcome.queries.items())),
    )
    return Listing("costs", "What it took", ("what", "how much"), rows, "")
