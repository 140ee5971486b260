"""The report of a search for prompts, as one page of HTML."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from embedder.prompts.template import Template
from eval.report.figures import figures
from eval.report.listings import Listing
from eval.report.page import FOLDER, STYLE, environment
from eval.report.plots import Plot
from tuning.objectives.index_objective import JudgedQueries
from tuning.search.choice import PromptGain
from tuning.search.pipeline import CHANGE, TuningOutcome
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
        return max(self.outcome.selected, key=lambda one: one.gain, default=None)

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
        held = self.tested
        if held is None:
            return []
        base = dict.fromkeys(held.differences, 0.0)
        drawn = figures.SystemPair(
            "tuned", ("default", "prompt"), self.data.measure, base, held.differences, {}, {}
        )
        reach = (held.interval.low, held.interval.high) if held.interval else None
        return [Plot("gains", "Every query, from won to lost", figures.differences(drawn, reach))]


def page(facts: TuningFacts) -> str:
    """Write the page; equal facts give equal pages."""
    css = (FOLDER / STYLE).read_text(encoding="utf-8")
    return environment().get_template(TEMPLATE).render(facts=facts, css=css) + "\n"


def _gains(outcome: TuningOutcome) -> Iterator[Listing]:
    tested = [
        ("SELECT" if outcome.queries["confirm"] else "out of fold", one) for one in outcome.selected
    ]
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
                where,
                one.proposal.title,
                f"{one.default:.4f}",
                f"{one.mean:.4f}",
                f"{one.gain:+.4f}",
                f"{one.interval.low:+.4f} to {one.interval.high:+.4f}" if one.interval else "-",
                f"{one.p:.3g}",
                str(one.outcomes.wins),
                str(one.outcomes.ties),
                str(one.outcomes.losses),
                f"{one.worst:+.3f}",
                f"{one.bound:+.3f}",
                f"{one.mcallester:+.3f}",
            )
            for where, one in tested
        ),
        "p by sign flips; on SELECT corrected by Holm over finalists. Lower bound: the mean "
        "gain on queries of the same kind is above it, by a betting bound that is wrong with "
        "probability 0.05; McAllester's bound beside it. Both hold for queries drawn "
        "independently: queries about one topic make them too sure. On SELECT they are of the "
        "best of several, and no lower bound.",
    )  # fmt: skip


def _prompts(facts: TuningFacts) -> Listing:
    done = sorted((one for one in facts.outcome.scored if one.finished), key=lambda one: -one.mean)
    means, roles = [one.mean for one in done], facts.setup.space.roles
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
                f"{one.mean:.4f}",
                proposer_title(one.proposal.made_by),
                one.proposal.how,
                *(_wording(one.proposal.prompt.forms[0].templates(role)) for role in roles),
                one.proposal.prompt.fusion,
            )
            for one in done[:SHOWN]
        ),
        spread,
    )


def _wording(templates: Sequence[Template]) -> str:
    return " | ".join(one.text for one in templates)


def _queries(facts: TuningFacts) -> Iterator[Listing]:
    held = facts.tested
    if held is None:
        return
    order = sorted(held.differences, key=lambda query: (-held.differences[query], query))
    for key, heading, some in (
        ("won", "Queries won most", order[:SHOWN]),
        ("lost", "Queries lost most", order[::-1][:SHOWN]),
    ):
        rows = tuple(
            (f"{held.differences[query]:+.4f}", query, facts.data.queries[query])
            for query in some
            if (held.differences[query] > 0) == (key == "won") and held.differences[query]
        )
        if rows:
            yield Listing(key, heading, (">difference", "query", "text"), rows, "")


def _costs(facts: TuningFacts) -> Listing:
    outcome = facts.outcome
    lost = sum(not one.finished for one in outcome.scored)
    rows = (
        ("budget", str(facts.setup.budget)),
        ("tokens", f"{outcome.spent.tokens:,}"),
        ("calls of a chat model", f"{outcome.spent.calls:,}"),
        ("prompts times queries", f"{outcome.spent.evaluations:,}"),
        ("scores known before, free", f"{outcome.hits:,}"),
        ("wall time", f"{facts.seconds:,.0f} s"),
        ("prompts proposed", f"{len(outcome.scored):,}"),
        ("races lost early", f"{lost:,}"),
        ("queries", ", ".join(f"{name} {count:,}" for name, count in outcome.queries.items())),
    )
    return Listing("costs", "What it took", ("what", "how much"), rows, "")
