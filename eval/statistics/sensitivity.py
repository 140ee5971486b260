"""How much figures hang on the prompt: spread of each model, and models that change places.

The spread is what Sclar et al. (ICLR 2024, FormatSpread) report of wordings that mean the same.
A prompt counts where it was judged with the model; where two models are compared, with both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.measures.measures import Values
from eval.statistics.compare import compare
from eval.statistics.comparison import CompareOptions
from eval.statistics.paired import ROUNDING
from eval.statistics.significance import Interval

RESAMPLES = 10_000
LEVEL = 0.95  # confidence of the intervals over prompts

PromptValues = Mapping[str, Values]
"""Prompt -> measure -> item -> value, of one model on one data set."""


@dataclass(frozen=True, slots=True)
class PromptStanding:
    """A prompt beside the best of its column.

    Attributes:
        prompt: name.
        mean: of the measure.
        p_holm: of no difference from the best prompt, corrected over the column; None of the best.
        best: it has the highest mean, or is not significantly worse than the prompt that has.
    """

    prompt: str
    mean: float
    p_holm: float | None
    best: bool


@dataclass(frozen=True, slots=True)
class Spread:
    """Figures of one model on one data set under several prompts.

    Attributes:
        dataset: name.
        model: name.
        measure: the one that counts.
        prompts: number of them.
        low: of the worst prompt; likewise `mean` over prompts, and `high`.
        sd: sample standard deviation over prompts; None of one prompt.
        worst: prompt; likewise `best`.
        mean_interval: of the mean over prompts, prompts drawn anew; None of one prompt.
        default: the prompt that people get unasked; None where it was not judged.
        gain: best minus default; chosen on these very items, so it flatters the best.
        gain_interval: items drawn anew.
    """

    dataset: str
    model: str
    measure: str
    prompts: int
    low: float
    mean: float
    high: float
    sd: float | None
    worst: str
    best: str
    mean_interval: Interval | None
    default: str | None
    gain: float | None
    gain_interval: Interval | None

    @property
    def range(self) -> float:
        """Best minus worst, the spread of FormatSpread."""
        return self.high - self.low

    def to_json(self) -> dict[str, Any]:
        """Return all figures, unrounded."""
        return {**asdict(self), "range": self.range}


@dataclass(frozen=True, slots=True)
class Flips:
    """Whether it hangs on the prompt which of two models is better.

    Attributes:
        dataset: name.
        better: the model with the higher mean over the shared prompts; likewise `worse`.
        prompts: number of those that were judged with both.
        flips: share of prompts under which `better` is worse; a tie counts half.
        flips_interval: prompts drawn anew; None of one prompt.
        superiority: probability that `better` under a random prompt is ahead of `worse` under
            another random one, ties counting half (Vargha, Delaney, J. Educ. Behav. Stat. 2000).
        superiority_interval: likewise.
    """

    dataset: str
    better: str
    worse: str
    prompts: int
    flips: float
    flips_interval: Interval | None
    superiority: float
    superiority_interval: Interval | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether prompts order models alike.

    Attributes:
        dataset: name.
        prompts: number of those that were judged with all models.
        tau: Kendall's tau-b between two prompts' orders of the models, the mean over pairs of
            prompts; None where there is no pair, or no order.
    """

    dataset: str
    prompts: int
    tau: float | None


def place_prompts(column: PromptValues, seed: int = 0) -> list[PromptStanding]:
    """Place the prompts of a column, in their order; paired randomisation tests with the best."""
    means = prompt_means(column)
    best = max(means, key=means.__getitem__)
    p_values: dict[str, float] = {}
    if len(column) > 1:
        order = {best: column[best]} | dict(column)
        options = CompareOptions(seed=seed)
        systems = {name: {"": values} for name, values in order.items()}
        comparison = compare(systems, options=options)
        p_values = {row.system: row.p_holm for row in comparison.rows}
        alpha = 1 - options.level
    return [
        PromptStanding(name, mean, p_values.get(name), name == best or bool(p_values[name] > alpha))
        for name, mean in means.items()
    ]


def measure_spread(
    dataset: str, model: str, column: PromptValues, default: str | None = None, seed: int = 0
) -> Spread:
    """Measure how far the prompts of one model lie apart.

    Args:
        dataset: name.
        model: name.
        column: at least one prompt.
        default: the prompt that people get unasked.
        seed: of the samples.
    """
    means = prompt_means(column)
    values = np.array([*means.values()])
    best = max(means, key=means.__getitem__)
    gain: float | None = None
    gain_interval: Interval | None = None
    if default in means:
        gain = means[best] - means[default]
        if best != default:
            systems = {name: {"": column[name]} for name in (default, best)}
            gain_interval = compare(systems, options=CompareOptions(seed=seed)).rows[0].interval
    samples = _draw_samples(len(values), seed)
    return Spread(
        dataset=dataset,
        model=model,
        measure=next(iter(next(iter(column.values())))),
        prompts=len(values),
        low=float(values.min()),
        mean=float(values.mean()),
        high=float(values.max()),
        sd=float(values.std(ddof=1)) if len(values) > 1 else None,
        worst=min(means, key=means.__getitem__),
        best=best,
        mean_interval=_interval(values[samples].mean(axis=1)) if len(values) > 1 else None,
        default=default if default in means else None,
        gain=gain,
        gain_interval=gain_interval,
    )


def count_flips(dataset: str, columns: Mapping[str, PromptValues], seed: int = 0) -> list[Flips]:
    """Compare every pair of models over the prompts that both have.

    Args:
        dataset: name.
        columns: model -> its column; pairs that share no prompt are left out.
        seed: of the samples.
    """
    flips = []
    for names in combinations(columns, 2):
        first, second = (prompt_means(columns[name]) for name in names)
        shared = [prompt for prompt in first if prompt in second]
        if not shared:
            continue
        a, b = (np.array([means[prompt] for prompt in shared]) for means in (first, second))
        if b.mean() > a.mean():
            a, b, names = b, a, (names[1], names[0])
        samples = _draw_samples(len(shared), seed)
        ahead = _ahead(a[:, None] - b[None, :])  # (prompts, prompts)
        losses = 1 - np.diagonal(ahead)
        # Models are drawn prompts for apart: one random prompt each.
        other_samples = _draw_samples(len(shared), seed + 1)
        sample_pairs = zip(samples[:2000], other_samples[:2000], strict=True)
        wins = np.array([ahead[np.ix_(x, y)].mean() for x, y in sample_pairs])
        several = len(shared) > 1
        flips.append(
            Flips(
                dataset,
                *names,
                prompts=len(shared),
                flips=float(losses.mean()),
                flips_interval=_interval(losses[samples].mean(axis=1)) if several else None,
                superiority=float(ahead.mean()),
                superiority_interval=_interval(wins) if several else None,
            )
        )
    return flips


def measure_agreement(dataset: str, columns: Mapping[str, PromptValues]) -> Agreement:
    """Tell whether the prompts that all models have order the models alike."""
    from scipy.stats import kendalltau

    means = [prompt_means(column) for column in columns.values()]
    shared = [prompt for prompt in means[0] if all(prompt in by_prompt for by_prompt in means)]
    orders = [[by_prompt[prompt] for by_prompt in means] for prompt in shared]
    taus = [float(kendalltau(a, b).statistic) for a, b in combinations(orders, 2)]
    defined = [tau for tau in taus if not np.isnan(tau)]
    return Agreement(dataset, len(shared), float(np.mean(defined)) if defined else None)


def prompt_means(column: PromptValues) -> dict[str, float]:
    """Return the mean of each prompt by the measure that counts."""
    return {
        prompt: float(np.mean([*next(iter(values.values())).values()]))
        for prompt, values in column.items()
    }


def _ahead(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 where a difference is above 0, .5 where it is 0."""
    ties = np.abs(differences) <= ROUNDING
    return np.where(ties, 0.5, (differences > 0).astype(np.float64))


def _draw_samples(n: int, seed: int) -> NDArray[np.int64]:
    """Draw (RESAMPLES, n) places with replacement."""
    return np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))


def _interval(values: NDArray[np.float64]) -> Interval:
    """Return the percentile interval of resampled values."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), LEVEL)


def measure_sensitivity(
    columns: Mapping[str, Mapping[str, PromptValues]], defaults: Sequence[str] = (), seed: int = 0
) -> dict[str, Any]:
    """Return spreads, flips, agreement and standings as JSON.

    Args:
        columns: data set -> model -> column.
        defaults: prompts that people get unasked; of each column, the first that it has.
        seed: of the samples.
    """
    report: dict[str, Any] = {"spread": [], "flips": [], "agreement": [], "standings": []}
    for dataset, by_model in columns.items():
        models = {model: column for model, column in by_model.items() if column}
        for model, column in models.items():
            default = next((name for name in defaults if name in column), None)
            spread = measure_spread(dataset, model, column, default, seed)
            report["spread"].append(spread.to_json())
            report["standings"] += [
                {"dataset": dataset, "model": model, **asdict(standing)}
                for standing in place_prompts(column, seed)
            ]
        if len(models) > 1:
            report["flips"] += [asdict(flips) for flips in count_flips(dataset, models, seed)]
            report["agreement"].append(asdict(measure_agreement(dataset, models)))
    return report
