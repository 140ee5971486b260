"""The best of several settings, and which others may be as good: bootstrap over queries."""

import numpy as np
from numpy.typing import NDArray

from embedder.types import Float64Array

ROUNDING = 1e-12  # means this close are equal; the earlier setting is then the better one


def bootstrap_means(
    values: Float64Array, resamples: int, generator: np.random.Generator
) -> Float64Array:
    """Return (resamples, settings) means of (settings, queries) values, queries drawn anew."""
    queries = values.shape[1]
    draws = generator.multinomial(queries, [1 / queries] * queries, resamples)
    means: Float64Array = draws @ values.T / queries
    return means


def first_best(means: Float64Array) -> NDArray[np.int64]:
    """Return the first of the best of each row of (n, settings) means."""
    good: NDArray[np.bool_] = means >= means.max(axis=1, keepdims=True) - ROUNDING
    first: NDArray[np.int64] = good.argmax(axis=1)
    return first


def not_worse(
    means: Float64Array, sampled: Float64Array, chosen: int, level: float
) -> NDArray[np.bool_]:
    """Tell which settings are not significantly worse than the chosen one, all decided at once.

    By the bootstrap of the largest studentised deviation (Romano, Wolf, Econometrica 2005).

    Args:
        means: (settings,) of all queries.
        sampled: (resamples, settings), see `bootstrap_means`.
        chosen: position of a setting.
        level: confidence.
    """
    behind = means[chosen] - means
    deviations = sampled[:, [chosen]] - sampled - behind
    noise = deviations.std(axis=0)
    differs = noise > ROUNDING
    reach = 0.0
    if differs.any():
        largest = (deviations[:, differs] / noise[differs]).max(axis=1)
        reach = float(np.quantile(largest, level))
    close: NDArray[np.bool_] = behind <= reach * noise + ROUNDING
    return close
