"""A measure against the weight of each channel, fused again from stored runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eval.data.beir import holds_queries
from eval.measures.measures import evaluate, means
from eval.report.dataset import JudgedDataset
from eval.report.figures.figures import WeightCurve
from eval.runs.systems import FolderSystem
from retrieval.fusion import fusion_by_name
from retrieval.run import Run, drop_self

STEPS = tuple(step / 10 for step in range(11))


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What channels give the documents of one query, at a weight of 1.

    Attributes:
        query_id: the query.
        documents: (n,) ids.
        given: (channels, n) float64, 0 where a channel did not return the document.
        held: (channels, n) bool, which did.
    """

    query_id: str
    documents: Sequence[str]
    given: NDArray[np.float64]
    held: NDArray[np.bool_]

    def fused(self, weights: NDArray[np.float64], k: int | None) -> dict[str, float]:
        """Add up what weighted channels give; the k best, and what equals the last of them."""
        scores = weights @ self.given
        kept = self.held[weights > 0].any(axis=0)
        if k is not None and kept.sum() > k:
            kept &= scores >= np.partition(scores[kept], -k)[-k]
        places = np.flatnonzero(kept)
        return {
            self.documents[at]: score
            for at, score in zip(places.tolist(), scores[places].tolist(), strict=True)
        }


def weight_curves(judged: JudgedDataset, system: FolderSystem) -> dict[str, WeightCurve]:
    """Return channel -> the measure at each of its weights; nothing where nothing was fused.

    The other channels share the rest in the proportions in which they were fused.
    """
    record = judged.record(system)
    channels, fusion = record.details.get("channels", []), record.details.get("fusion")
    if not fusion or len(channels) < 2 or not set(channels) <= record.values.keys():
        return {}
    names = {held.run: held.name for held in judged.systems if held.folder is system.folder}
    parts = list(_parts(fusion, {name: judged.runs[names[name]] for name in channels}))
    numbers = _numbers(fusion)
    given = {channel: numbers.get(channel, 1.0) for channel in channels}
    return {
        channel: WeightCurve(
            STEPS, [_value(judged, parts, shared(given, channel, step)) for step in STEPS]
        )
        for channel in (channels[:1] if len(channels) == 2 else channels)
    }


def shared(given: Mapping[str, float], channel: str, weight: float) -> dict[str, float]:
    """Give a channel a weight in 0..1, and the others what is left in their proportions."""
    rest = sum(held for name, held in given.items() if name != channel)
    even = 1 / (len(given) - 1)
    return {
        name: weight if name == channel else (1 - weight) * (held / rest if rest else even)
        for name, held in given.items()
    }


def _parts(fusion: str, runs: Mapping[str, Run]) -> Iterator[Parts]:
    """Fuse each channel alone: fusions are sums over channels, and linear in the weights."""
    alone = [_alone(fusion, runs, channel) for channel in runs]
    for query_id in dict.fromkeys(query_id for run in alone for query_id in run):
        found = [run.get(query_id, {}) for run in alone]
        documents = list(dict.fromkeys(document for scores in found for document in scores))
        yield Parts(
            query_id,
            documents,
            np.array([[scores.get(one, 0.0) for one in documents] for scores in found]),
            np.array([[one in scores for one in documents] for scores in found], np.bool_),
        )


def _alone(fusion: str, runs: Mapping[str, Run], channel: str) -> Run:
    name, constant = fusion.partition(":")[0], _numbers(fusion).get("k")
    settings = [f"{held}={float(held == channel)}" for held in runs]
    settings += [f"k={constant!r}"] if constant is not None and "k" not in runs else []
    return fusion_by_name(f"{name}:{','.join(settings)}", list(runs))(list(runs.values()))


def _value(judged: JudgedDataset, parts: Sequence[Parts], weights: Mapping[str, float]) -> float:
    """Measure one fusion, on as many documents as the measure looks at."""
    cutoff = re.search(r"@(\d+)$", judged.measure)
    # One more, for a query's own document.
    k = int(cutoff[1]) + 1 if cutoff else None
    row = np.array(list(weights.values()))
    fused = {one.query_id: one.fused(row, k) for one in parts}
    if holds_queries(judged.dataset):
        fused = drop_self(fused)
    return means(evaluate(fused, judged.qrels, [judged.measure]))[judged.measure]


def _numbers(fusion: str) -> dict[str, float]:
    written = fusion.partition(":")[2]
    parts = (part.partition("=") for part in written.split(",")) if written else ()
    return {name.strip(): float(number) for name, _, number in parts}
