"""The drawings of a report, each with a heading and a note."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

import numpy as np

from eval.measures.curves import gain_at, precision_recall
from eval.report.configurations import RunConfiguration
from eval.report.dataset import JudgedDataset
from eval.report.figures import figures
from eval.report.weights import weight_curves
from eval.runs.systems import FolderSystem
from eval.statistics.paired import Paired, pair
from eval.statistics.significance import mean_interval
from index.folder import Index

MOST_LINES = 8  # of a drawing: no more colours are told apart
MOST_DOCUMENTS = 20_000  # whose lengths are counted

_TELLS = {
    "retrieval": "A point leads to its query.",
    "sts": "The value of a pair is its part of the correlation: the product of what is "
    "correlated, standardised.",
    "transfer": "A sentence is told right or wrong.",
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing.

    Attributes:
        key: the prefix of its ids, and the name of its file.
        heading: over it.
        svg: the `<svg>` element.
        note: below it.
    """

    key: str
    heading: str
    svg: str
    note: str = ""


def draw_comparison(judged: JudgedDataset) -> Iterator[Plot]:
    """Draw two systems item by item."""
    systems = judged.compared
    if systems is None:
        return
    paired = pair(judged.dataset, *((system.name, judged.items(system)) for system in systems))
    drawing = _drawing(judged, paired, "scatter")
    yield Plot(
        f"scatter-{judged.key}",
        f"Each of {len(paired.items):,} {judged.noun}",
        figures.scatter(drawing),
        f"Above the line {systems[1].name} is better. {_TELLS[judged.first.benchmark]}",
    )
    interval = mean_interval([paired.differences], np.random.default_rng(0))
    bounds = (interval.low, interval.high) if interval else None
    yield Plot(
        f"difference-{judged.key}",
        f"{systems[1].name} minus {systems[0].name}",
        figures.differences(_drawing(judged, paired, "difference"), bounds),
        _outcome(paired, judged.noun),
    )


def draw_curves(judged: JudgedDataset) -> Iterator[Plot]:
    """Draw precision over recall and gain over rank, of the systems that count first."""
    chosen = _drawn_systems(judged)
    note = f"{MOST_LINES} of {len(judged.systems)} systems." * (len(chosen) < len(judged.systems))
    runs = {system.name: judged.runs[system.name] for system in chosen}
    yield Plot(
        f"precision-{judged.key}",
        "Precision and recall",
        figures.recall_curves(
            f"precision-{judged.key}",
            {name: precision_recall(run, judged.qrels) for name, run in runs.items()},
            judged.positions,
        ),
        note,
    )
    yield Plot(
        f"gain-{judged.key}",
        "nDCG@k",
        figures.gain_curves(
            f"gain-{judged.key}",
            {name: gain_at(run, judged.qrels) for name, run in runs.items()},
            judged.positions,
        ),
        note,
    )


def draw_spreads(judged: JudgedDataset) -> Iterator[Plot]:
    """Draw how long texts are, and how long single queries took."""
    if judged.index is not None:
        with Index.open(judged.index) as opened:
            total = opened.documents
            documents = islice(opened.stream(), MOST_DOCUMENTS)
            lengths = [len(document.content.split()) for document in documents]
        key = f"documents-{judged.key}"
        note = f"The first {len(lengths):,} of {total:,}." * (len(lengths) < total)
        svg = figures.histogram(key, {"documents": lengths}, "words of a document")
        yield Plot(key, "Lengths of documents", svg, note)
    lengths = [len(text.split()) for text in judged.queries.values() if text]
    if lengths:
        key = f"queries-{judged.key}"
        svg = figures.histogram(key, {"queries": lengths}, "words of a query")
        yield Plot(key, "Lengths of queries", svg)
    latencies = {system.name: judged.record(system).cost.latencies_ms for system in judged.counted}
    timed = {name: times for name, times in islice(latencies.items(), MOST_LINES) if times}
    if timed:
        key = f"latency-{judged.key}"
        sample = max(map(len, timed.values()))
        yield Plot(
            key,
            "Time of a query",
            figures.histogram(key, timed, "milliseconds of a query", judged.positions),
            f"A sample of {sample:,} queries, one at a time.",
        )


def draw_fusion_weights(judged: JudgedDataset) -> Iterator[Plot]:
    """Draw the measure against the weight of each channel, for the first folder that fuses."""
    for system in judged.counted:
        curves = weight_curves(judged, system)
        if curves:
            key = f"weights-{judged.key}"
            svg = figures.fusion_weights(
                key, curves, "one channel; the others share the rest", judged.measure
            )
            note = (
                "This describes these judgements and is not for choosing: weights chosen on the "
                "queries that are reported would flatter them. Recomputed from the stored runs "
                f"of {system.name}; the others keep their proportions."
            )
            yield Plot(key, "Weights of fusion (descriptive)", svg, note)
            return


def draw_cost_quality(judged: JudgedDataset) -> Iterator[Plot]:
    """Draw the quality of systems against their cost."""
    quality = {system.name: fmean(judged.items(system).values()) for system in judged.systems}
    for name, heading, unit, systems, cost_of, note in (
        (
            "tokens",
            "Quality and tokens",
            "tokens that a model reads per text",
            judged.systems,
            _tokens,
            "Words are free. Channels that one pass fills share its tokens.",
        ),
        (
            "seconds",
            "Quality and time",
            "milliseconds per text",
            judged.counted,
            _seconds,
            "Time of indexing by documents, or of judging by texts, on the machines named above.",
        ),
    ):
        costs = {system.name: cost_of(judged, system) for system in systems}
        points = {
            system: (cost, quality[system]) for system, cost in costs.items() if cost is not None
        }
        if len(points) > 1:
            key = f"{name}-{judged.key}"
            svg = figures.cost_quality(key, points, unit, judged.measure, judged.positions)
            yield Plot(key, heading, svg, note)


def draw_sensitivity(
    sets: Sequence[JudgedDataset], configurations: Mapping[str, RunConfiguration]
) -> Iterator[Plot]:
    """Draw the value of each prompt, where a model was judged with several.

    Args:
        sets: the data sets; those count that all folders were judged on.
        configurations: path of a folder -> its head.
    """
    models: dict[str, dict[str, float]] = {}
    shared = [judged for judged in sets if len(judged.counted) == len(configurations)]
    if not shared:
        return
    for path, configuration in configurations.items():
        values = [
            fmean(judged.items(system).values())
            for judged in shared
            for system in judged.counted
            if str(system.folder.path) == path
        ]
        if configuration.prompts:
            prompts = models.setdefault(configuration.model, {})
            name = configuration.prompts[0].name
            prompts[configuration.name if name in prompts else name] = fmean(values)
    if any(len(prompts) > 1 for prompts in models.values()):
        by_name = {model.rpartition("/")[2]: prompts for model, prompts in models.items()}
        svg = figures.sensitivity("sensitivity", by_name, shared[0].measure)
        note = f"Mean over {', '.join(judged.dataset for judged in shared)}."
        yield Plot("sensitivity", "Every prompt", svg, note)


def _drawing(judged: JudgedDataset, paired: Paired, kind: str) -> figures.SystemPair:
    values = [dict(zip(paired.items, row, strict=True)) for row in paired.values.tolist()]
    texts = judged.queries if judged.retrieval else {}
    return figures.SystemPair(
        key=f"{kind}-{judged.key}",
        names=(paired.baseline, paired.system),
        measure=judged.measure,
        first=values[0],
        second=values[1],
        links=judged.places,
        labels={item: f"{item} {texts.get(item, '')[:80]}".strip() for item in paired.items},
    )


def _outcome(paired: Paired, noun: str) -> str:
    differences = paired.differences
    won, lost = int((differences > 0).sum()), int((differences < 0).sum())
    return (
        f"{paired.system} is better on {won:,} {noun}, worse on {lost:,}, "
        f"equal on {len(differences) - won - lost:,}."
    )


def _drawn_systems(judged: JudgedDataset) -> list[FolderSystem]:
    """Return the systems that are drawn: where there are too many, those that count first."""
    if len(judged.systems) <= MOST_LINES:
        return list(judged.systems)
    uncounted = [system for system in judged.systems if system not in judged.counted]
    return [*judged.counted, *uncounted][:MOST_LINES]


def _tokens(judged: JudgedDataset, system: FolderSystem) -> float | None:
    """Return the tokens that a system's models read per text; None where it is not known."""
    record = judged.record(system)
    build = record.details.get("build") or {}
    recorded = build.get("counts") or record.cost.counts
    channels = record.details.get("channels", list(recorded))
    used = [name for name in channels if name == system.run] or channels
    passes = {record.fingerprints.get(name, "{}"): recorded.get(name, {}) for name in used}
    models = [counts for p, counts in passes.items() if json.loads(p).get("kind") != "bm25"]
    if not all(counts.get("texts") and "tokens" in counts for counts in models):
        return None
    return sum(counts["tokens"] / counts["texts"] for counts in models)


def _seconds(judged: JudgedDataset, system: FolderSystem) -> float | None:
    """Return the milliseconds per text of indexing, or of judging where nothing is indexed."""
    record = judged.record(system)
    build = record.details.get("build") or {}
    if judged.retrieval:
        texts, seconds = build.get("documents"), build.get("seconds")
        return 1000 * seconds / texts if texts and seconds else None
    texts = max((counts.get("texts", 0) for counts in record.cost.counts.values()), default=0)
    return 1000 * sum(record.cost.seconds.values()) / texts if texts else None
