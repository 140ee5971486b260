"""Fit post-processing to rows of documents and of pseudo-queries cut from them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedder.prompts.method_rules import MIN_SAMPLE, PostRules
from embedder.types import Float32Array, Float64Array, Role
from index.channels.post_fit import PostFit

SHRINKAGES = (3.0, 1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005)
"""What "auto" chooses among, the weakest whitening first."""

EVEN_SHRINKAGE = 0.1
"""What "auto" is where texts are compared with each other."""

_TEMPERATURES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
_UNCHANGED = 0.98  # directions with a larger factor are not worth their bytes


class UnfitSampleError(ValueError):
    """A sample that post-processing by some rules cannot be fitted to."""


@dataclass(frozen=True, slots=True, eq=False)
class RowSample:
    """Rows of some documents, and of a pseudo-query made of each.

    Attributes:
        documents: (n, dim) float32.
        queries: (n, dim) float32, in the same order.
    """

    documents: Float32Array
    queries: Float32Array

    def __post_init__(self) -> None:
        if self.documents.ndim != 2 or self.documents.shape != self.queries.shape:
            raise ValueError(
                "a sample has as many queries as documents, of one width; got "
                f"{self.documents.shape} and {self.queries.shape}"
            )

    def __len__(self) -> int:
        return len(self.documents)

    def part(self, chosen: NDArray[np.bool_]) -> "RowSample":
        """Return the chosen ones, (n,) bool."""
        return RowSample(self.documents[chosen], self.queries[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Means and principal components of a sample, each role about its own mean.

    Attributes:
        means: (2, dim) float64 of documents and of queries.
        directions: (r, dim) float64 orthonormal, r at most dim.
        variances: (r,) float64, falling.
    """

    means: Float64Array
    directions: Float64Array
    variances: Float64Array

    @staticmethod
    def of(sample: RowSample) -> "Components":
        """Compute them."""
        sides = [rows.astype(np.float64) for rows in (sample.documents, sample.queries)]
        means = np.stack([rows.mean(axis=0) for rows in sides])
        about = np.concatenate([rows - mean for rows, mean in zip(sides, means, strict=True)])
        _, lengths, directions = np.linalg.svd(about, full_matrices=False)
        variances = lengths**2 / len(about)
        real = variances > 1e-12 * max(1.0, variances[0])  # the others are rounding
        return Components(means, directions[real], variances[real])


def fit_post(sample: RowSample, rules: PostRules) -> PostFit:
    """Fit post-processing to a sample.

    Raises:
        UnfitSampleError: it is smaller than MIN_SAMPLE, or has too few components for the rules.
    """
    check_count(len(sample))
    shrinkage = rules.shrinkage
    if shrinkage == "auto":
        shrinkage = choose_shrinkage(sample, rules) if rules.whiten else 1.0
    return _fit_of(Components.of(sample), rules, shrinkage)


def fit_sentences(rows: Float32Array, rules: PostRules) -> PostFit:
    """Fit post-processing to (n, dim) rows of texts that are compared with each other.

    There are no queries by which a shrinkage could be chosen: "auto" is EVEN_SHRINKAGE.

    Raises:
        UnfitSampleError: as `fit_post`.
    """
    shrinkage = EVEN_SHRINKAGE if rules.shrinkage == "auto" else rules.shrinkage
    return fit_post(RowSample(rows, rows), replace(rules, shrinkage=shrinkage))


def check_count(texts: int) -> None:
    """Refuse a sample of fewer texts than post-processing is fitted to.

    Raises:
        UnfitSampleError: it is smaller than MIN_SAMPLE.
    """
    if texts < MIN_SAMPLE:
        raise UnfitSampleError(
            f"[post] of the prompt is fitted to the texts that there are, {texts}; it needs at "
            f"least {MIN_SAMPLE}: take a prompt without [post], such as prompteol"
        )


def check_components(rules: PostRules, most: int) -> None:
    """Refuse rules that ask for more principal components than a sample has.

    Raises:
        UnfitSampleError: they do.
    """
    if rules.remove + rules.dim > most:
        raise UnfitSampleError(
            f"[post] removes or keeps {rules.remove + rules.dim} components, and the sample, or "
            f'half of it where shrinkage is "auto", has {most}; lower post.remove and post.dim, '
            "give a shrinkage, or fit to more texts (post.count is how many at most)"
        )


def choose_shrinkage(sample: RowSample, rules: PostRules) -> float:
    """Return the shrinkage by which held-out pseudo-queries find their documents.

    Each half of the sample is held out from a fit to the other. A document's probability is a
    softmax of the cosines, at the best temperature. The largest shrinkage wins whose mean
    log-probability is within one standard error of the best (Breiman et al., CART, 1984): pieces
    cut from documents reward strong whitening more than queries do.
    """
    halves = [np.arange(len(sample)) % 2 == half for half in (0, 1)]
    fitted = [(Components.of(sample.part(~half)), sample.part(half)) for half in halves]
    scores = np.array(
        [
            np.concatenate(
                [_log_probabilities(_fit_of(parts, rules, value), held) for parts, held in fitted]
            )
            for value in SHRINKAGES
        ]
    )  # (shrinkages, n)
    means = scores.mean(axis=1)
    best = int(means.argmax())
    error = scores[best].std(ddof=1) / np.sqrt(len(sample))
    return SHRINKAGES[int(np.argmax(means >= means[best] - error))]


def _log_probabilities(fit: PostFit, held: RowSample) -> Float64Array:
    """Return the log-probability of each query's own document, (n,)."""
    queries = fit.change(held.queries, Role.QUERY)
    cosines = (queries @ fit.change(held.documents, Role.DOCUMENT).T).astype(np.float64)
    tried = [_log_softmax(cosines / temperature) for temperature in _TEMPERATURES]
    return max(tried, key=lambda log: float(log.mean()))


def _log_softmax(logits: Float64Array) -> Float64Array:
    """Return the log of the softmax of each row at the diagonal."""
    top = logits.max(axis=1)
    log: Float64Array = (
        np.diagonal(logits) - top - np.log(np.exp(logits - top[:, None]).sum(axis=1))
    )
    return log


def _fit_of(parts: Components, rules: PostRules, shrinkage: float) -> PostFit:
    check_components(rules, len(parts.variances))
    end = rules.remove + rules.dim
    factors = _factors(parts.variances[rules.remove :], shrinkage) if rules.whiten else None
    if rules.dim:
        kept = np.ones(rules.dim) if factors is None else factors[: rules.dim]
        directions = parts.directions[rules.remove : end]
    else:
        changed = np.zeros(0) if factors is None else factors[factors < _UNCHANGED]
        kept = np.concatenate([np.zeros(rules.remove), changed])
        directions = parts.directions[: len(kept)]
    means = parts.means if rules.center else np.zeros_like(parts.means)
    narrow = [array.astype(np.float32) for array in (means, directions, kept)]
    return PostFit(narrow[0], narrow[1], narrow[2], cut=bool(rules.dim))


def _factors(variances: Float64Array, shrinkage: float) -> Float64Array:
    """Return by what each component is multiplied, next to 1 for those of little variance."""
    if not len(variances):
        return variances
    added = shrinkage * variances[0]
    factors: Float64Array = np.sqrt(added / (variances + added))
    return factors
