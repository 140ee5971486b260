"""Several rows for one text: runs of rows become runs of texts (pure functions).

PromptReps (Zhuang et al., EMNLP 2024), alternative representations: every row of a query
searches every row of the documents; the best document row counts for each query row, and a
document's score is the sum over query rows.
"""

from collections.abc import Sequence

from retrieval.run import Run


def best_of(runs: Sequence[Run]) -> Run:
    """Keep, per query and document, the best score of any run, and at least 0.

    A run that did not return a document gives it 0, which is what an absent row scores.
    """
    best: Run = {}
    for run in runs:
        for query, found in run.items():
            kept = best.setdefault(query, {})
            for document, score in found.items():
                kept[document] = max(score, kept.get(document, 0.0))
    return best


def sum_of(runs: Sequence[Run]) -> Run:
    """Add up, per query and document, the scores of all runs; an absent one adds nothing."""
    total: Run = {}
    for run in runs:
        for query, found in run.items():
            kept = total.setdefault(query, {})
            for document, score in found.items():
                kept[document] = kept.get(document, 0.0) + score
    return total
