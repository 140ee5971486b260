"""Studies of settings: a planted choice is found, chance is not believed, figures by hand."""

import json

import numpy as np
import pytest

from eval.fusion.study import Study, StudyOptions, SweptSettings, study
from eval.fusion.sweep import Setting, grid

RUNS = ("a", "b")
GRID = grid(2, ("minmax",), 0.25)
EQUAL = next(at for at, one in enumerate(GRID) if one.is_equal)
FAST = StudyOptions(resamples=400)


def studied(values: np.ndarray, settings: tuple[Setting, ...] = GRID) -> Study:
    return study(SweptSettings(RUNS, settings, values), ("minmax", values[EQUAL]), FAST)


def position(weight: float) -> int:
    return [one.weights for one in GRID].index((weight, 1 - weight))


def test_a_planted_weight_is_found_and_believed() -> None:
    numbers = np.random.default_rng(0)
    values = numbers.random(200) * 0.5 + numbers.normal(0, 0.02, (len(GRID), 200))
    values[position(0.25)] += 0.05
    found = studied(values)
    assert found.swept.text(found.chosen) == "minmax:a=0.25,b=0.75"
    assert found.adopt and found.wins[found.chosen] == 1
    assert found.weights == ((0.25, 0.25), (0.75, 0.75))
    assert found.not_worse.tolist() == [at == found.chosen for at in range(len(GRID))]
    assert found.held_out == pytest.approx(values[found.chosen].mean())
    assert set(found.fold_choices) == {"minmax:a=0.25,b=0.75"}


def test_a_choice_by_chance_is_seldom_believed() -> None:
    """Thirty studies of settings that do not differ: the best looks better, and is not adopted."""
    adopted = 0
    for seed in range(30):
        found = studied(np.random.default_rng(seed).random((len(GRID), 50)))
        adopted += found.adopt
        assert found.swept.means[found.chosen] == found.swept.means.max()
        assert found.not_worse.sum() >= 2
    assert adopted <= 4  # 30 * .025 are expected; more than 4 come once in a thousand


def test_ties_go_to_the_setting_nearest_equal_weights() -> None:
    found = studied(np.full((len(GRID), 20), 0.5))
    assert found.chosen == EQUAL == 0
    assert found.not_worse.all() and not found.adopt
    assert [gain.over for gain in found.gains] == ["minmax"]  # the others are worth the same


def test_gains_and_folds_by_hand() -> None:
    """a alone wins 12 queries and b alone 8, so that every other nine tenths choose a."""
    values = np.zeros((len(GRID), 20))
    values[position(1.0), :12] = 1
    values[position(0.0), 12:] = 1
    found = studied(values)
    assert found.swept.text(found.chosen) == "minmax:a=1,b=0"
    default, alone = found.gains[0], found.gains[-1]
    assert (found.held_out, default.mean, default.gain) == pytest.approx((0.6, 0, 0.6))
    assert default.p == pytest.approx(2 / 2**12)  # only all signs alike are as far
    assert (alone.over, alone.mean, alone.gain, alone.p) == ("a alone", 0.6, 0, 1)


def test_a_curve_takes_the_other_weights_at_their_best() -> None:
    settings = grid(3, ("minmax", "rrf:k=60"), 0.5)
    values = np.tile(np.arange(len(settings), dtype=float)[:, None], (1, 12))
    found = study(SweptSettings(("a", "b", "c"), settings, values), ("minmax", values[0]), FAST)
    curve = found.curves()["b"]["minmax"]
    best = {
        share: max(at for at in range(7) if round(settings[at].shares[1], 9) == share)
        for share in (0.0, 0.333333333, 0.5, 1.0)
    }
    assert curve["weights"] == [*best] and curve["values"] == [float(at) for at in best.values()]
    assert curve["low"] == curve["high"] == curve["values"]  # no query differs from another
    assert settings[found.best_of("minmax")] == settings[6]


def test_a_study_is_repeatable_and_json() -> None:
    values = np.random.default_rng(5).random((len(GRID), 30))
    said = json.dumps(studied(values).to_json(), allow_nan=False)
    assert said == json.dumps(studied(values).to_json())
    assert json.loads(said)["chosen"].startswith("minmax:a=")


def test_a_study_of_few_queries_is_json() -> None:
    """Before, a gain on twelve queries left NumPy's bool there: `fuse --sweep` ended in an error.

    Of few queries all signs are tried, and p is a quotient of NumPy's.
    """
    values = np.full((len(GRID), 12), 0.1)
    values[position(0.75)] = np.linspace(0.2, 0.5, 12)
    said = json.loads(json.dumps(studied(values).to_json(), allow_nan=False))
    assert said["adopt"] is True


def test_too_few_queries_are_refused() -> None:
    with pytest.raises(ValueError, match="10 folds needs at least as many judged queries"):
        studied(np.zeros((len(GRID), 9)))
    with pytest.raises(ValueError, match="need a row of values each"):
        SweptSettings(RUNS, GRID, np.zeros((3, 9)))
