"""The benchmark of reading speed reads the same texts in every way, and counts their work."""

import time
from pathlib import Path

import pytest

from benchmarks.reading_speed import measure
from tests.models import LINES


def test_every_way_reads_the_same(llama: Path) -> None:
    texts = [line.lower() for line in LINES[:3]]
    record = measure(str(llama), "prompteol", texts, 1, time.perf_counter)
    cosines, ratios = record["lowest_cosine_to_float32"], record["ratio_to_float32"]
    assert isinstance(cosines, dict) and isinstance(ratios, dict)
    assert ratios["float32"] == 1
    assert cosines["loop float32"] == pytest.approx(1, abs=1e-5)
    assert cosines["sentence-transformers float32"] > 0.95  # of decoded text, tokenised again
    assert cosines["bfloat16"] > 0.99 < cosines["loop bfloat16"]
