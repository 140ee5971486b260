"""Which way of fusing to choose, and how sure the choice is: a study on development queries."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.types import Float64Array
from eval.fusion.resampling import ROUNDING, bootstrap_means, first_best, not_worse
from eval.fusion.sweep import Setting
from eval.statistics.significance import Interval, mean_interval, sign_flip_test


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """How a choice is examined.

    Attributes:
        level: confidence of intervals; a gain is believed where its p is below 1 - level.
        folds: parts of the queries; each is judged with what the others choose.
        resamples: bootstrap samples of the queries.
        seed: of samples, folds and sign patterns.
    """

    level: float = 0.95
    folds: int = 10
    resamples: int = 2000
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class SweptSettings:
    """Settings and their values, see `eval.fusion.sweep.sweep`.

    Attributes:
        runs: names, in the order of weights.
        settings: as `eval.fusion.sweep.grid` lists them.
        values: (settings, queries) of one measure.
    """

    runs: tuple[str, ...]
    settings: tuple[Setting, ...]
    values: Float64Array

    def __post_init__(self) -> None:
        if not self.settings or self.values.shape[:1] != (len(self.settings),):
            raise ValueError(
                f"{len(self.settings)} settings need a row of values each; "
                f"got shape {self.values.shape}"
            )

    @property
    def means(self) -> Float64Array:
        """(settings,) means over queries."""
        means: Float64Array = self.values.mean(axis=1)
        return means

    @property
    def methods(self) -> list[str]:
        """The methods, in the order of the settings."""
        return list(dict.fromkeys(setting.method for setting in self.settings))

    def text(self, at: int) -> str:
        """Write a setting as `fusion_by_name` reads it."""
        return self.settings[at].text(self.runs)


@dataclass(frozen=True, slots=True)
class StudyGain:
    """The gain of choosing by study over a fusion or run that needs none, on held-out queries.

    Attributes:
        over: a fusion, or a run.
        mean: of `over`.
        gain: mean of cross-validated values less `mean`.
        interval: of the gain.
        p: two-sided, by flipping signs.
    """

    over: str
    mean: float
    gain: float
    interval: Interval | None
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The choice and its confidence.

    Attributes:
        swept: the settings to choose from.
        chosen: position of the setting of the highest mean.
        wins: (settings,) share of the bootstrap samples in which each is the best.
        weights: for each run (low, high) of its share in the best setting of those samples.
        not_worse: (settings,) bool; not significantly worse than the chosen one.
        held_out: mean where each query is judged with the choice of other queries.
        fold_choices: the setting that each fold was judged with.
        gains: over the default first; then over equal weights and the best single run, where
            they differ from it.
        adopt: the gain over the default is significant; else the default had better stay.
        sampled: (settings, 2) interval of each setting's mean.
    """

    swept: SweptSettings
    chosen: int
    wins: Float64Array
    weights: tuple[tuple[float, float], ...]
    not_worse: NDArray[np.bool_]
    held_out: float
    fold_choices: tuple[str, ...]
    gains: tuple[StudyGain, ...]
    adopt: bool
    sampled: Float64Array

    def best_of(self, method: str) -> int:
        """Return the position of a method's best setting."""
        means = self.swept.means
        of_method = [setting.method == method for setting in self.swept.settings]
        return int(first_best(np.where(of_method, means, -np.inf)[None])[0])

    def curves(self) -> dict[str, dict[str, dict[str, list[float]]]]:
        """Return run -> method -> the measure at each share of the run, the others at their best.

        Lists of equal length: weights, rising; values; low and high, the ends of an interval.
        """
        return {
            run: {method: self._curve(at, method) for method in self.swept.methods}
            for at, run in enumerate(self.swept.runs)
        }

    def to_json(self) -> dict[str, Any]:
        """Return everything but the values of single queries."""
        swept = self.swept
        return {
            "runs": list(swept.runs),
            "chosen": swept.text(self.chosen),
            "mean": float(swept.means[self.chosen]),
            "wins": float(self.wins[self.chosen]),
            "weights": {
                run: {"chosen": share, "low": low, "high": high}
                for run, share, (low, high) in zip(
                    swept.runs, swept.settings[self.chosen].shares, self.weights, strict=True
                )
            },
            "held_out_mean": self.held_out,
            "fold_choices": list(self.fold_choices),
            "gains": [asdict(gain) for gain in self.gains],
            "adopt": self.adopt,
            "settings": [
                {
                    "fusion": swept.text(at),
                    "mean": float(mean),
                    "wins": float(self.wins[at]),
                    "not_worse": bool(self.not_worse[at]),
                }
                for at, mean in enumerate(swept.means)
            ],
            "curves": self.curves(),
        }

    def _curve(self, run: int, method: str) -> dict[str, list[float]]:
        means = self.swept.means
        best: dict[float, int] = {}
        for at, setting in enumerate(self.swept.settings):
            share = round(setting.shares[run], 9)
            if setting.method == method and (share not in best or means[at] > means[best[share]]):
                best[share] = at
        at_best = [best[share] for share in sorted(best)]
        return {
            "weights": sorted(best),
            "values": means[at_best].tolist(),
            "low": self.sampled[at_best, 0].tolist(),
            "high": self.sampled[at_best, 1].tolist(),
        }


def study(
    swept: SweptSettings, default: tuple[str, Float64Array], options: StudyOptions | None = None
) -> Study:
    """Choose the best setting, and find out how sure that choice is.

    The mean of the chosen one flatters it: the same queries chose it. So queries are dealt into
    folds, and each fold is judged with what is best on the others; the gain of those values over
    the default, which nothing chose, is tested.

    Args:
        swept: settings and values; equal weights and single runs must be among the settings.
        default: how runs are fused without a study, and (queries,) its values.
        options: see `StudyOptions`.

    Raises:
        ValueError: fewer queries than folds, or the values of the default are of other queries.
    """
    options = options or StudyOptions()
    _check(swept, default[1], options)
    generator = np.random.default_rng(options.seed)
    chosen = int(first_best(swept.means[None])[0])
    sampled = bootstrap_means(swept.values, options.resamples, generator)
    winners = first_best(sampled)
    ends = [(1 - options.level) / 2, (1 + options.level) / 2]
    shares = np.array([setting.shares for setting in swept.settings])[winners]
    weights = np.quantile(shares, ends, axis=0, method="inverted_cdf")
    held_out, fold_choices = _cross_validated(swept, options.folds, generator)
    gains = tuple(_gains(swept, default, held_out, options))
    return Study(
        swept=swept,
        chosen=chosen,
        wins=np.bincount(winners, minlength=len(swept.settings)) / options.resamples,
        weights=tuple((float(low), float(high)) for low, high in weights.T),
        not_worse=not_worse(swept.means, sampled, chosen, options.level),
        held_out=float(held_out.mean()),
        fold_choices=fold_choices,
        gains=gains,
        adopt=bool(gains[0].gain > 0 and gains[0].p < 1 - options.level),
        sampled=np.quantile(sampled, ends, axis=0).T,
    )


def _check(swept: SweptSettings, default: Float64Array, options: StudyOptions) -> None:
    queries = swept.values.shape[1]
    if queries < options.folds:
        raise ValueError(
            f"a study in {options.folds} folds needs at least as many judged queries; got "
            f"{queries}: judge more, or choose fewer folds (--folds)"
        )
    if default.shape != (queries,):
        raise ValueError(
            f"expected a value of the default for each of {queries} queries; got {default.shape}"
        )


def _cross_validated(
    swept: SweptSettings, folds: int, generator: np.random.Generator
) -> tuple[Float64Array, tuple[str, ...]]:
    """Return (queries,) values where each query had no part in choosing its setting."""
    queries = swept.values.shape[1]
    held_out = np.empty(queries)
    choices = []
    for fold in np.array_split(generator.permutation(queries), folds):
        training = np.delete(swept.values, fold, axis=1)
        at = int(first_best(training.mean(axis=1)[None])[0])
        held_out[fold] = swept.values[at, fold]
        choices.append(swept.text(at))
    return held_out, tuple(choices)


def _gains(
    swept: SweptSettings,
    default: tuple[str, Float64Array],
    held_out: Float64Array,
    options: StudyOptions,
) -> Iterator[StudyGain]:
    """Yield the gain over the default, and over each baseline with other values."""
    yield _gain(*default, held_out, options)
    for over, values in _baselines(swept).items():
        if np.abs(values - default[1]).max() > 0:
            yield _gain(over, values, held_out, options)


def _baselines(swept: SweptSettings) -> Mapping[str, Float64Array]:
    """Return equal weights in the first method, and the best single run."""
    method = swept.settings[0].method
    rows = [at for at, setting in enumerate(swept.settings) if setting.method == method]
    equal = next(at for at in rows if swept.settings[at].is_equal)
    alone = [at for at in rows if max(swept.settings[at].shares) == 1]
    best = alone[int(first_best(swept.means[alone][None])[0])]
    name = swept.runs[int(np.argmax(swept.settings[best].weights))]
    return {f"{method}, equal weights": swept.values[equal], f"{name} alone": swept.values[best]}


def _gain(
    over: str, values: Float64Array, held_out: Float64Array, options: StudyOptions
) -> StudyGain:
    raw = held_out - values
    differences = np.where(np.abs(raw) <= ROUNDING, 0.0, raw)
    generator = np.random.default_rng(options.seed)
    return StudyGain(
        over=over,
        mean=float(values.mean()),
        gain=float(differences.mean()),
        interval=mean_interval([differences], generator, options.level),
        p=sign_flip_test(differences, generator).p,
    )
