"""A measure against the weight of each channel, fused again from stored runs."""

from collections.abc import Mapping, Sequence

import numpy as np

from eval.data.beir import holds_queries
from eval.fusion.sweep import Setting, fuse_alone, is_swept, judge_weights
from eval.measures.measures import evaluate, means
from eval.report.dataset import JudgedDataset
from eval.report.figures.figures import WeightCurve
from eval.runs.systems import FolderSystem
from retrieval.fusion import fusion_by_name, split_fusion
from retrieval.run import Run, drop_self

STEPS = tuple(step / 10 for step in range(11))


def weight_curves(judged: JudgedDataset, system: FolderSystem) -> dict[str, WeightCurve]:
    """Return channel -> the measure at each of its weights; nothing where nothing was fused.

    The other channels share the rest in the proportions in which they were fused.
    """
    record = judged.record(system)
    channels, fusion = record.details.get("channels", []), record.details.get("fusion")
    if not fusion or len(channels) < 2 or not set(channels) <= record.values.keys():
        return {}
    names = {rival.run: rival.name for rival in judged.systems if rival.folder is system.folder}
    runs = {channel: judged.runs[names[channel]] for channel in channels}
    method, numbers = split_fusion(fusion)
    fused_weights = {channel: numbers.get(channel, 1.0) for channel in channels}
    drawn = channels[:1] if len(channels) == 2 else channels
    if "k" in numbers and "k" not in channels:
        method += f":k={numbers['k']!r}"
    settings = [
        Setting(method, tuple(share_weights(fused_weights, channel, step).values()))
        for channel in drawn
        for step in STEPS
    ]
    values = _means(judged, runs, settings)
    return {
        channel: WeightCurve(STEPS, values[at * len(STEPS) : (at + 1) * len(STEPS)])
        for at, channel in enumerate(drawn)
    }


def share_weights(weights: Mapping[str, float], channel: str, weight: float) -> dict[str, float]:
    """Give a channel a weight in 0..1, and the others the rest in their proportions."""
    others = sum(share for name, share in weights.items() if name != channel)
    even = 1 / (len(weights) - 1)
    return {
        name: weight if name == channel else (1 - weight) * (share / others if others else even)
        for name, share in weights.items()
    }


def _means(
    judged: JudgedDataset, runs: Mapping[str, Run], settings: Sequence[Setting]
) -> list[float]:
    """Measure fusions of one method; a query's own document is dropped after it was fused."""
    drops_self = holds_queries(judged.dataset)
    if is_swept(judged.measure):
        alone = fuse_alone(runs, settings[0].method)
        parts = [drop_self(run) for run in alone] if drops_self else alone
        weights = np.array([setting.weights for setting in settings])
        values = judge_weights(parts, judged.qrels, judged.measure, weights)
        return [float(mean) for mean in values.mean(axis=1)]
    names = list(runs)
    fused = (
        fusion_by_name(setting.text(names), names)(list(runs.values())) for setting in settings
    )
    return [
        means(evaluate(drop_self(run) if drops_self else run, judged.qrels, [judged.measure]))[
            judged.measure
        ]
        for run in fused
    ]
