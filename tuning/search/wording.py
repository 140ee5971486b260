"""Say in words what a search changed, and what its figures do not show."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from embedder.prompts.prompt import Prompt
from eval.statistics.significance import Interval
from tuning.search.choice import PromptGain
from tuning.search.split import POWER, SplitPlan
from tuning.search.types import Proposal

FEW_UNITS = 20  # below these the test errs more often than it says where differences are skewed
AS_DEFAULT = "(as the default)"
RARE = 10  # queries that differ; of fewer, an interval knows too little


@dataclass(frozen=True, slots=True)
class BestWording:
    """The best of what differs from the default in words, whatever was taken.

    Attributes:
        proposal: the wording.
        part: which queries the means are of: SELECT, with folds CONFIRM; or SEARCH where it was
            tested on no others.
        default: mean of the default.
        mean: of the wording.
        interval: of the difference at 95 %; None on SEARCH, which it was chosen by.
    """

    proposal: Proposal
    part: str
    default: float
    mean: float
    interval: Interval | None = None

    def __str__(self) -> str:
        gain = f"{self.mean - self.default:+.4f} on {self.part}"
        if self.interval:
            return f"{gain} (95 %: {self.interval.low:+.4f}..{self.interval.high:+.4f})"
        return f"{gain}, by which it was chosen, and not tested"


def wording_of(prompt: Prompt, default: Prompt) -> str:
    """Return how a prompt words a query, or that it words it as the default does."""
    form = prompt.forms[0]
    if prompt != default and form == default.forms[0]:
        return AS_DEFAULT
    return " | ".join(template.text for template in form.query)


def reading_of(prompt: Prompt, default: Prompt) -> str:
    """Return the rules of reading that are other than the default's; "" where none is."""
    return ", ".join(_rules(prompt, default))


def describe_change(proposal: Proposal, default: Prompt) -> str:
    """Say in a few words what is taken: words, rules, or vectors under unchanged words."""
    prompt = proposal.prompt
    vectors = "vectors beside a query's words" if proposal.prompted else "a map of query vectors"
    parts = [vectors] if prompt.adapt != default.adapt else []
    parts += _rules(prompt, default)
    if prompt.forms == default.forms and parts:
        return f"take {' and '.join(parts)}; words unchanged ({proposal.title})"
    return " and ".join(["take the new prompt", *parts])


def describe_split(plan: SplitPlan) -> str:
    """Say how queries were split, and how many units that makes."""
    sizes = [f"{len(part):,}" for part in plan.parts.values()]
    if plan.folded:
        text = f"too few for three parts: folds of {', '.join(sizes)}"
        text += ", each judging a search on those before it, the last (CONFIRM) the one prompt"
    else:
        named = zip(sizes, plan.parts, strict=True)
        text = ", ".join(f"{size} in {name.upper()}" for size, name in named)
    if [len(part) for part in plan.parts.values()] == [*plan.units.values()]:
        return f"{text}; no two are nearly the same"
    units = ", ".join(f"{count:,}" for count in plan.units.values())
    return f"{text}; queries that are nearly the same count once: {units}"


def describe_detectable(plan: SplitPlan, tested: PromptGain | None) -> str:
    """Say how small a gain this split can tell from chance."""
    text = f"{plan.detectable:.3f}: a true gain so large is accepted with probability {POWER:g}"
    if tested is None or not tested.units or tested.detectable > 1:
        return text
    judged = "all that were judged" if plan.folded else "CONFIRM alone"
    return f"{text}; {tested.detectable:.3f} by the differences seen on {judged}"


def cautions(tested: PromptGain) -> Iterator[str]:
    """Yield what p, interval and bound of a test take for granted, where it matters."""
    yield (
        "p (one-sided) and the lower bound of the gain on further queries hold for queries drawn "
        "independently: of queries about the same topics they claim too much"
    )
    if 0 < tested.units < FEW_UNITS:
        yield (
            f"signs of {tested.units} differences were flipped: below {FEW_UNITS} such a test is "
            "exact only if gains and losses are alike in size; of skewed ones p is too small"
        )
    differing = tested.outcomes.wins + tested.outcomes.losses
    if 0 < differing < RARE:
        yield (
            f"only {differing} queries differ: an interval that is drawn from so few "
            "does not know of rare losses"
        )


def _rules(prompt: Prompt, default: Prompt) -> Iterator[str]:
    if prompt.fusion != default.fusion:
        yield f"fusion {prompt.fusion}"
    reading, own = prompt.reading, default.reading
    if reading.layer != own.layer:
        yield f"layer {reading.layer}"
    if reading.sparse != own.sparse and reading.sparse is not None:
        yield f"{reading.sparse.top} terms"
    if prompt.post != default.post:
        yield "post-processing of documents and queries"
    if prompt.prepend != default.prepend:
        rules = prompt.prepend
        yield f"token prepending from block {rules.start}" if rules else "no token prepending"
    if replace(reading, layer=own.layer, sparse=own.sparse) != own:
        yield "other rules of reading"
