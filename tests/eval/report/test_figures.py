"""Drawings are well-formed, the same each time, refer to nothing outside, and link every item."""

import re
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from eval.report.figures.drawing import COLOURS, INK, standalone
from eval.report.figures.figures import (
    SystemPair,
    WeightCurve,
    cost_quality,
    differences,
    fusion_weights,
    gain_curves,
    histogram,
    recall_curves,
    scatter,
    sensitivity,
)
from eval.report.figures.labels import CHARACTER, LINE, label_offsets, short_name

NAMES = ('BM25 <"&$x_1$">', "fused")
FIRST = {"q1": 0.1, "q2": 0.5, "q3": 0.5, "q4": 0.0}
SECOND = {"q1": 0.4, "q2": 0.2, "q3": 0.2, "q4": 0.0}


def pair(
    key: str = "p", first: dict[str, float] = FIRST, second: dict[str, float] = SECOND
) -> SystemPair:
    links = {item: f"q-{item}" for item in first}
    return SystemPair(
        key, NAMES, "nDCG@10", first, second, links, {item: f"<{item}>" for item in first}
    )


DRAWINGS: dict[str, Callable[[], str]] = {
    "scatter": lambda: scatter(pair("a")),
    "differences": lambda: differences(pair("b"), (-0.1, 0.2)),
    "one item": lambda: differences(pair("c", {"q": 0.5}, {"q": 0.5})),
    "recall": lambda: recall_curves("d", {NAMES[0]: {0.0: 1.0, 0.5: 0.5, 1.0: 0.2}}),
    "gain": lambda: gain_curves("e", {"x": {1: 0.2, 10: 0.4, 100: 0.5}}),
    "cost": lambda: cost_quality("f", {NAMES[0]: (1, 0.3), "b": (100, 0.4)}, "ms", "AP"),
    "one cost": lambda: cost_quality("g", {"a": (0, 0.3)}, "ms", "AP"),
    "histogram": lambda: histogram("h", {"documents": [1, 10, 500], "queries": [3]}, "words"),
    "nothing": lambda: histogram("i", {"documents": []}, "words"),
    "weights": lambda: fusion_weights(
        "j", {"minmax": WeightCurve([0, 1], [0.2, 0.3], [0.1, 0.2], [0.3, 0.4])}, "bm25", "AP", 0.5
    ),
    "no curves": lambda: recall_curves("l", {}),
    "no gains": lambda: gain_curves("m", {}),
    "no costs": lambda: cost_quality("n", {}, "ms", "AP"),
    "equal costs": lambda: cost_quality("o", {"a": (1, 0.3), "b": (1, 0.3)}, "ms", "AP"),
    "one length": lambda: histogram("p", {"documents": [7, 7]}, "words"),
    "no weights": lambda: fusion_weights("q", {}, "bm25", "AP"),
    "no models": lambda: sensitivity("r", {}, "AP"),
    "no prompts": lambda: sensitivity("s", {"m": {}}, "AP", "p"),
    "many lines": lambda: recall_curves("t", {f"_{at}": {0.0: at} for at in range(9)}),
    "prompts": lambda: sensitivity("k", {"m": {"p": 0.1, "q": 0.2}, "n": {"p": 0.3}}, "AP", "p"),
}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.filterwarnings("error")
def test_a_drawing_can_stand_in_a_page(name: str) -> None:
    text = DRAWINGS[name]()
    assert text == DRAWINGS[name]()
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg") and root.attrib["aria-label"]
    assert {"width", "height"}.isdisjoint(root.attrib) and "viewBox" in root.attrib
    assert INK not in text and "<script" not in text and "<image" not in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) <= {"http://www.w3.org/2000/svg"}
    ids = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    key = ids[0].partition("-")[0]
    assert len(set(ids)) == len(ids) and all(one.startswith(f"{key}-") for one in ids)
    inner = re.findall(r'url\(#([^)]+)\)|href="#(?!q-)([^"]+)"', text)
    assert {a or b for a, b in inner} <= set(ids)
    ElementTree.fromstring(standalone(text))


def test_every_item_is_linked_and_named() -> None:
    text = differences(pair())
    assert set(re.findall(r'href="#(q-[^"]+)"', text)) == {"q-q1", "q-q2", "q-q3"}  # q4: no bar
    titles = [one.text for one in ElementTree.fromstring(text).iter() if one.tag.endswith("title")]
    assert f"<q1>: {NAMES[0]} 0.1000, fused 0.4000" in titles


def test_items_at_one_place_are_one_point() -> None:
    text = scatter(pair())
    assert re.findall(r'href="#(q-[^"]+)"', text) == ["q-q1", "q-q2", "q-q4"]
    titles = [
        one.text or "" for one in ElementTree.fromstring(text).iter() if one.tag.endswith("title")
    ]
    assert any(title.startswith("<q2>; <q3>: ") for title in titles)


def test_items_without_a_place_in_the_page_have_no_link() -> None:
    bare = replace(pair(), links={})
    assert "<a" not in scatter(bare) + differences(bare)
    assert "<a" in scatter(pair()) and "target=" not in scatter(pair())


def test_a_pair_has_the_same_items() -> None:
    with pytest.raises(ValueError, match="items of both"):
        pair("x", {"a": 1.0}, {"b": 1.0})


def words_of(svg: str) -> list[str]:
    return [one.text or "" for one in ElementTree.fromstring(svg).iter() if one.tag[-5:] == "}text"]


def test_a_name_with_an_underscore_first_is_told() -> None:
    """Matplotlib leaves such labels out of legends, so a folder `_old` had no colour."""
    told = words_of(gain_curves("e", {"_old": {1: 0.2}, "new": {1: 0.3}}))
    assert any(word.endswith("_old") for word in told) and "new" in told


def test_long_names_are_cut_in_the_middle() -> None:
    assert short_name("a" * 40) == "a" * 40
    assert short_name("a" * 30 + "b" * 30) == "a" * 20 + "\u2026" + "b" * 19


def test_a_prompt_that_is_the_default_is_named_and_every_model_too() -> None:
    told = words_of(sensitivity("k", {"m": {"p": 0.1, "q": 0.2}, "n": {"q": 0.3}}, "AP", "p"))
    assert {"m", "n", "a prompt", "mean", "p"} <= set(told)


def test_a_histogram_tells_median_and_late_values() -> None:
    told = words_of(histogram("h", {"documents": list(range(1, 2002))}, "words"))
    assert "documents: 1,001 and 1,901" in told


def test_labels_of_close_points_do_not_cover_each_other() -> None:
    spots = np.array([[100.0, 100.0], [100.0, 104.0], [102.0, 102.0], [300.0, 100.0]])
    texts = ["first", "second", "third", "far"]
    boxes = []
    for (x, y), text, (across, up) in zip(spots, texts, label_offsets(spots, texts), strict=True):
        left = x + across - (len(text) * CHARACTER if across < 0 else 0)
        boxes.append((left, left + len(text) * CHARACTER, y + up))
    for at, (left, right, y) in enumerate(boxes):
        for other_left, other_right, other_y in boxes[:at]:
            apart = left >= other_right or other_left >= right
            assert apart or abs(y - other_y) >= LINE


def test_a_system_has_the_colour_of_its_position_in_every_drawing() -> None:
    """Where a drawing held only some systems, each took the colour of another."""
    at = {"a": 0, "b": 4}
    for text in (
        recall_curves("a", {"b": {0.0: 1.0, 1.0: 0.5}}, at),
        gain_curves("b", {"b": {1: 1.0, 10: 0.5}}, at),
        cost_quality("c", {"b": (1, 0.5)}, "ms", "AP", at),
        histogram("d", {"b": [1.0, 2.0]}, "ms", at),
    ):
        assert COLOURS[4] in text and COLOURS[0] not in text
