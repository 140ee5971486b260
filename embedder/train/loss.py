"""The objective of PromptReps' supervised variant: InfoNCE on dense and on sparse vectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Loss(NamedTuple):
    """What is minimised, and what it consists of.

    Attributes:
        total: () float32.
        parts: named () float32, for the log.
    """

    total: "Tensor"
    parts: "dict[str, Tensor]"


class TextVectors(NamedTuple):
    """What n texts are represented by.

    Attributes:
        dense: (n, dim) float32, any length.
        rows: (t,) int64 text of each sparse entry, non-decreasing.
        terms: (t,) int64 vocabulary id of each sparse entry.
        logits: (t,) float32 LM head output for each sparse entry.
    """

    dense: "Tensor"
    rows: "Tensor"
    terms: "Tensor"
    logits: "Tensor"


def dense_scores(queries: TextVectors, passages: TextVectors) -> "Tensor":
    """Return the (n, m) cosines of two sets of texts."""
    from torch.nn.functional import normalize

    return normalize(queries.dense, dim=1) @ normalize(passages.dense, dim=1).T


def sparse_scores(queries: TextVectors, passages: TextVectors, vocabulary: int) -> "Tensor":
    """Return the (n, m) inner products of ln(1 + relu(logits)) over the texts' own terms."""
    import torch
    from torch.nn.functional import embedding_bag

    weights = torch.log1p(torch.relu(passages.logits))
    table = weights.new_zeros(vocabulary, len(passages.dense))
    table = table.index_put((passages.terms, passages.rows), weights)
    # One row per query: the passages' weights of its terms, summed by the query's own weights.
    texts = torch.arange(len(queries.dense), device=queries.rows.device)
    starts = torch.searchsorted(queries.rows, texts)
    own = torch.log1p(torch.relu(queries.logits))
    return embedding_bag(queries.terms, table, starts, mode="sum", per_sample_weights=own)


def weight_products(
    queries: "tuple[Tensor, Tensor]", passages: "tuple[Tensor, Tensor]", vocabulary: int
) -> "Tensor":
    """Return the (n, m) inner products of sparse rows as `sparsify.select` gives them.

    Args:
        queries: terms (n, t) int64 and their weights (n, t) float32; weight 0 means none, and
            its term may be -1.
        passages: the same of m texts.
        vocabulary: terms are less than this.
    """
    import torch

    # Columns for the terms of queries only, and a last one for all others: a vocabulary is wide.
    columns = torch.unique(queries[0].clamp(min=0))
    column = torch.full((vocabulary,), len(columns), device=columns.device)
    column[columns] = torch.arange(len(columns), device=columns.device)

    def rows(terms: "Tensor", weights: "Tensor") -> "Tensor":
        empty = weights.new_zeros(len(terms), len(columns) + 1)
        return empty.scatter_add(1, column[terms.clamp(min=0)], weights)[:, :-1]

    return rows(*queries) @ rows(*passages).T


def better_than_answer(scores: "Tensor", margin: float) -> "Tensor":
    """Return (n, m) True where candidate j is more than `margin` above the answer of row i.

    s_ij > s_ii + margin, such a candidate probably being an answer that nobody marked: the
    filter of GISTEmbed (Solatorio, 2024) with a margin as in NV-Retriever (Moreira et al., 2024),
    and with the scores of the model that learns in place of a teacher's.

    Args:
        scores: (n, m) float, row i against candidate j; m >= n, the first n are the answers.
        margin: 0 or more, in units of the scores.
    """
    return scores > scores.diagonal()[:, None] + margin


def info_nce(scores: "Tensor", same: "Tensor") -> "Tensor":
    """Return the mean cross entropy of choosing item i for row i (van den Oord et al., 2018).

    Args:
        scores: (n, m) float, row i against candidate j; m >= n, the first n are the answers.
        same: (n, m) bool; True takes candidate j out of row i's choice. Never on the diagonal.
    """
    import torch
    from torch.nn.functional import cross_entropy

    answers = torch.arange(len(scores), device=scores.device)
    return cross_entropy(scores.masked_fill(same, -torch.inf), answers)


def taught_together(scores: "Sequence[Tensor]", same: "Tensor") -> "Tensor":
    """Return the cross entropy of each kind of scores under the shares that their sum gives.

    Args:
        scores: each (n, m) float; the sum is a teacher and gets no gradient.
        same: (n, m) bool; True takes candidate j out of row i's choice.
    """
    import torch
    from torch.nn.functional import cross_entropy

    total = torch.stack(list(scores)).sum(0).detach()
    shares = total.masked_fill(same, -torch.inf).softmax(1)
    # What is left out has a share of 0; a finite score keeps 0 times its logarithm from NaN.
    losses = [cross_entropy(part.masked_fill(same, -1e4), shares) for part in scores]
    return torch.stack(losses).sum()
