"""Spread, flips and agreement, against arithmetic done by hand."""

import json
import math

import pytest

from eval.statistics.sensitivity import (
    count_flips,
    measure_agreement,
    measure_sensitivity,
    measure_spread,
    place_prompts,
)

ITEMS = [str(number) for number in range(40)]


def column(**means: float) -> dict[str, dict[str, dict[str, float]]]:
    """Prompts whose values lie evenly around a mean, each in the same way."""
    return {
        prompt: {"m": {item: mean + (at % 2 - 0.5) / 10 for at, item in enumerate(ITEMS)}}
        for prompt, mean in means.items()
    }


def test_spread_by_hand() -> None:
    one = measure_spread("d", "x", column(a=0.2, b=0.5, c=0.8), default="b")
    assert (one.measure, one.prompts, one.worst, one.best) == ("m", 3, "a", "c")
    assert (one.low, one.mean, one.high) == pytest.approx((0.2, 0.5, 0.8))
    assert one.range == pytest.approx(0.6) and one.sd == pytest.approx(0.3)
    assert one.gain == pytest.approx(0.3)
    assert one.gain_interval is not None and one.mean_interval is not None
    assert one.gain_interval.low <= 0.3 + 1e-9 and one.gain_interval.high >= 0.3 - 1e-9
    assert one.mean_interval.low == pytest.approx(0.2) and one.mean_interval.high <= 0.8 + 1e-9


def test_one_prompt_has_no_spread() -> None:
    one = measure_spread("d", "x", column(a=0.2), default="a")
    assert (one.sd, one.mean_interval, one.gain, one.gain_interval) == (None, None, 0.0, None)
    assert measure_spread("d", "x", column(a=0.2), default="gone").default is None


def test_flips_by_hand() -> None:
    """x is ahead under a and b, y under c; over all pairs of prompts x is ahead in 5.5 of 9."""
    columns = {"y": column(a=0.1, b=0.4, c=0.7), "x": column(a=0.6, b=0.5, c=0.4)}
    (one,) = count_flips("d", columns)
    assert (one.better, one.worse, one.prompts) == ("x", "y", 3)
    assert one.flips == pytest.approx(1 / 3)
    assert one.superiority == pytest.approx((2 + 2 + 1.5) / 9)  # against .1, .4 and .7
    assert one.flips_interval is not None and 0 <= one.flips_interval.low <= 1 / 3


def test_flips_count_shared_prompts_and_ties_as_halves() -> None:
    columns = {"x": column(a=0.5, b=0.6, only=0.9), "y": column(a=0.5, b=0.4)}
    (one,) = count_flips("d", columns)
    assert one.prompts == 2 and one.flips == pytest.approx(0.25)
    assert count_flips("d", {"x": column(a=0.5), "y": column(b=0.5)}) == []


def test_agreement_by_hand() -> None:
    """Two prompts order three models alike, the third the other way round: (1 - 1 - 1) / 3."""
    columns = {
        "x": column(a=0.1, b=0.2, c=0.9),
        "y": column(a=0.2, b=0.3, c=0.5),
        "z": column(a=0.3, b=0.4, c=0.1),
    }
    assert measure_agreement("d", columns).tau == pytest.approx(-1 / 3)
    assert measure_agreement("d", {"x": column(a=0.1), "y": column(a=0.2)}).tau is None


def test_the_best_and_what_is_not_significantly_worse() -> None:
    held = column(best=0.6, worse=0.3)
    near = {item: value + (0.02 if at < 20 else -0.021) for at, (item, value) in
            enumerate(held["best"]["m"].items())}  # fmt: skip
    found = {one.prompt: one for one in place_prompts({**held, "near": {"m": near}})}
    assert found["best"].best and found["best"].p_holm is None
    assert found["near"].best and not found["worse"].best
    assert found["worse"].p_holm is not None and found["worse"].p_holm < 0.001


def test_all_of_it_as_json() -> None:
    columns = {"d": {"x": column(a=0.1, b=0.2), "y": column(a=0.3, b=0.2), "refused": {}}}
    told = measure_sensitivity(columns, ("b",))
    json.dumps(told, allow_nan=False)
    assert [one["default"] for one in told["spread"]] == ["b", "b"]
    assert len(told["standings"]) == 4 and len(told["flips"]) == 1
    assert math.isclose(told["flips"][0]["flips"], 0.25)
