"""A few documents that show what a collection is about."""

import numpy as np

from embedder.types import Float32Array
from index.folder import Index

SAMPLE = 2000  # documents among which the few are chosen
ITERATIONS = 10


def typical_documents(index: Index, count: int, seed: int) -> list[str]:
    """Return the texts of documents that lie nearest to the centres of k-means clusters.

    As BayesPrompt (Li et al., ICLR 2024) describes a domain by the modes of its distribution.
    Without dense rows they are drawn by chance.

    Args:
        index: opened.
        count: how many at most.
        seed: of what is drawn.
    """
    ids = index.ids()
    rng = np.random.default_rng([seed, 83])
    drawn = [ids[at] for at in rng.permutation(len(ids))[:SAMPLE].tolist()]
    dense = next((name for name, spec in index.channels.items() if spec.kind == "dense"), None)
    if dense is not None and len(drawn) > count:
        found = [(each, index.vectors(dense, each)) for each in drawn]
        found = [(each, rows) for each, rows in found if len(rows)]
        rows = np.stack([rows[0] for _, rows in found])
        drawn = [found[at][0] for at in _medoids(rows, min(count, len(rows)), seed)]
    return [index.document(each).content for each in drawn[:count]]


def _medoids(rows: Float32Array, count: int, seed: int) -> list[int]:
    """Return places of the rows nearest to each centre, each once."""
    import faiss

    means = faiss.Kmeans(
        rows.shape[1], count, niter=ITERATIONS, seed=seed, min_points_per_centroid=1
    )
    means.train(rows)
    nearest = faiss.IndexFlatL2(rows.shape[1])
    nearest.add(rows)
    assert means.centroids is not None  # it is trained
    _, places = nearest.search(means.centroids, 1)
    return list(dict.fromkeys(places[:, 0].tolist()))
