"""Judge transfer: how well a linear classifier learns labels from frozen vectors.

The protocol is that of SentEval (Conneau & Kiela, LREC 2018) with scikit-learn's logistic
regression; the layout of a task decides how the strength of its regularisation is chosen.
"""

import math
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.progress import Progress
from eval.data.labelled import DataPart, LabelledItems, LabelledTask
from eval.runs.record import Record
from eval.tasks.sentence_vectors import CHANNEL, SentenceRows
from index.channels.threads import cores

SOME = tuple(2.0**t for t in range(-2, 4))
MORE = tuple(2.0**t for t in range(-1, 6))
"""Inverse strengths that are tried: SentEval has other ones where there is train and test only."""

TOLERANCE = 1e-6
"""Largest slope of the mean loss at which a fit is finished.

scikit-learn's 1e-4 stops so early that the strength hardly matters: on Banking77 one prediction
in 70 was another than the optimum's.
"""
FOLDS = 10  # of papers
STEPS = 5000  # of L-BFGS; a fit that needs more is counted

Features = NDArray[np.float64]
Classes = NDArray[np.int64]
IndexSplit = tuple[NDArray[np.int64], NDArray[np.int64]]  # rows to fit on, rows held out


@dataclass(frozen=True, slots=True)
class Protocol:
    """How a task is judged.

    Attributes:
        folds: parts of a cross-validation; SentEval reports 10.
        seed: of the shuffling before items are dealt into folds; SentEval's is 1111.
    """

    folds: int = FOLDS
    seed: int = 1111

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"cross-validation needs at least 2 folds; got {self.folds}")

    def check(self, task: LabelledTask) -> None:
        """Refuse a task that has a label too rare to be in every fold.

        Raises:
            ValueError: it has one.
        """
        if "dev" in task.parts:
            return
        label, count = task.counts.most_common()[-1]
        left = count - math.ceil(count / self.folds) if "all" in task.parts else count
        if left < self.folds:
            raise ValueError(
                f"{task.name}: {count} with label {label!r} are too few for {self.folds} folds; "
                "take fewer --folds, or leave the label out"
            )

    def fits(self, task: LabelledTask) -> int:
        """Return how many classifiers are fitted."""
        if "all" in task.parts:
            return self.folds * (self.folds * len(SOME) + 1)
        return len(SOME) if "dev" in task.parts else self.folds * len(MORE) + 1

    def split(self, classes: Classes) -> list[IndexSplit]:
        """Deal items into folds with equal shares of the labels."""
        from sklearn.model_selection import StratifiedKFold

        folds = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
        return list(folds.split(np.zeros(len(classes)), classes))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """The class of every judged item, the strengths C chosen, and how many fits that took."""

    classes: Classes
    strengths: tuple[float, ...]
    fits: int
    unfinished: int


@dataclass(eq=False)
class Fitting:
    """Fits paths of classifiers in threads, and counts the fits."""

    pool: ThreadPoolExecutor
    progress: Progress | None
    done: int = 0
    unfinished: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def path(
        self, seen: Features, labels: Classes, unseen: Features, grid: Sequence[float]
    ) -> Classes:
        """Fit one classifier per strength, each from where the one before ended.

        Returns:
            (len(grid), len(unseen)) predicted classes.
        """
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(tol=TOLERANCE, max_iter=STEPS, warm_start=True)
        predictions = []
        for strength in grid:
            predictions.append(model.set_params(C=strength).fit(seen, labels).predict(unseen))
            with self.lock:
                self.done += 1
                if self.progress is not None:
                    self.progress(self.done)
        return np.stack(predictions)

    def choose_strength(
        self, x: Features, y: Classes, splits: Sequence[IndexSplit], grid: Sequence[float]
    ) -> float:
        """Return the strength of the best mean accuracy over splits, of equal ones the lowest."""

        def accuracies(split: IndexSplit) -> NDArray[np.float64]:
            fit_rows, test_rows = split
            predicted = self.path(x[fit_rows], y[fit_rows], x[test_rows], grid)
            return np.asarray((predicted == y[test_rows]).mean(axis=1))

        by_split = list(self.pool.map(accuracies, splits))
        means = [math.fsum(column) / len(splits) for column in zip(*by_split, strict=True)]
        return grid[means.index(max(means))]


def judge_task(
    task: LabelledTask, rows: SentenceRows, protocol: Protocol, progress: Progress | None = None
) -> Record:
    """Judge one task; the accuracy of a record is over items, each 1 or 0.

    A whole set is cross-validated: each item is predicted by a classifier that saw neither it
    nor, when its strength was chosen, its fold. Where there is a test part, the strength is
    chosen on the dev part, or by cross-validation on the train part.

    Args:
        task: with at least as many items of each label as `Protocol.check` asks for.
        rows: gives the vectors.
        protocol: folds and seed.
        progress: called with the number of classifiers fitted, of `protocol.fits(task)`.

    Raises:
        ValueError: a label is too rare, or the encoder gives no dense row for a sentence.
    """
    protocol.check(task)
    parts = {name: features(part, rows) for name, part in task.parts.items()}
    cost = rows.spent()
    start = time.perf_counter()
    labels = task.labels
    classes = {
        name: np.searchsorted(labels, part.labels).astype(np.int64)
        for name, part in task.parts.items()
    }
    prediction = _predict(parts, classes, protocol, progress)
    cost = replace(cost, seconds={**cost.seconds, "fit": time.perf_counter() - start})
    truth = classes["all" if "all" in classes else "test"]
    hits = {str(item): float(hit) for item, hit in enumerate(prediction.classes == truth, start=1)}
    return Record(
        benchmark="transfer",
        dataset=task.name,
        values={CHANNEL: {"accuracy": hits}},
        counted=CHANNEL,
        fingerprints={CHANNEL: rows.fingerprint},
        cost=cost,
        details=_details(task, protocol, prediction, truth),
    )


def features(part: LabelledItems, rows: SentenceRows) -> Features:
    """Return (n, dim) rows of sentences, or (n, 2 dim) of pairs: |u - v| and u * v.

    Unit rows are scaled by the root of their dimension, so that entries are about 1 as in the
    vectors for which SentEval's strengths were chosen.
    """
    vectors = [rows.of(texts).astype(np.float64) for texts in zip(*part.items, strict=True)]
    for array in vectors:
        array *= math.sqrt(array.shape[1])
    if len(vectors) == 1:
        return vectors[0]
    first, second = vectors
    return np.concatenate([np.abs(first - second), first * second], axis=1)


def f1(predicted: Classes, truth: Classes) -> float:
    """Return the harmonic mean of precision and recall of class 1; 0 where nothing is found."""
    hits = int(((predicted == 1) & (truth == 1)).sum())
    return 2 * hits / max(int((predicted == 1).sum() + (truth == 1).sum()), 1)


def _predict(
    x: Mapping[DataPart, Features],
    y: Mapping[DataPart, Classes],
    protocol: Protocol,
    progress: Progress | None,
) -> Prediction:
    """Predict the judged part; the features are centred in place."""
    centre = next(iter(x.values())).mean(axis=0)  # the intercept takes it up: same optimum,
    for part in x.values():  # reached in a fraction of the steps
        part -= centre
    with _fitting(progress) as fitting:
        if "all" in x:
            classes, strengths = _cross_validate(x["all"], y["all"], protocol, fitting)
        elif "dev" in x:
            both = np.concatenate([x["dev"], x["test"]])
            paths = fitting.path(x["train"], y["train"], both, SOME)
            dev = len(y["dev"])
            best = int((paths[:, :dev] == y["dev"]).sum(axis=1).argmax())
            classes, strengths = paths[best, dev:], [SOME[best]]
        else:
            splits = protocol.split(y["train"])
            strengths = [fitting.choose_strength(x["train"], y["train"], splits, MORE)]
            [classes] = fitting.path(x["train"], y["train"], x["test"], strengths)
    return Prediction(classes, tuple(strengths), fitting.done, fitting.unfinished)


def _cross_validate(
    x: Features, y: Classes, protocol: Protocol, fitting: Fitting
) -> tuple[Classes, list[float]]:
    """Predict every fold by the strength chosen, and the classifier fitted, on the others alone."""
    classes = np.empty_like(y)
    strengths = []
    for fit_rows, test_rows in protocol.split(y):
        seen, labels = x[fit_rows], y[fit_rows]
        splits = protocol.split(labels)
        strengths.append(fitting.choose_strength(seen, labels, splits, SOME))
        [classes[test_rows]] = fitting.path(seen, labels, x[test_rows], strengths[-1:])
    return classes, strengths


@contextmanager
def _fitting(progress: Progress | None) -> Iterator[Fitting]:
    """Fit in as many threads as there are cores, and count those that did not converge.

    Each fit has one core: sums then are in the same order, and predictions the same, on every
    number of cores.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with (
        threadpool_limits(1),
        warnings.catch_warnings(record=True) as caught,
        ThreadPoolExecutor(cores()) as pool,
    ):
        warnings.simplefilter("always", ConvergenceWarning)
        fitting = Fitting(pool, progress)
        yield fitting
        fitting.unfinished = sum(
            issubclass(warning.category, ConvergenceWarning) for warning in caught
        )


def _details(
    task: LabelledTask, protocol: Protocol, prediction: Prediction, truth: Classes
) -> dict[str, Any]:
    facts = {
        "source": task.source_facts(),
        "protocol": _protocol_facts(task, protocol),
        "learnt_from": len(task.training.items),
        "labels": len(task.labels),
        "strengths": list(prediction.strengths),
        "fits": prediction.fits,
        "not_converged": prediction.unfinished,
    }
    return facts | ({"f1": f1(prediction.classes, truth)} if task.labels == ["0", "1"] else {})


def _protocol_facts(task: LabelledTask, protocol: Protocol) -> dict[str, Any]:
    if "all" in task.parts:
        chosen, grid = "nested cross-validation", SOME
    elif "dev" in task.parts:
        chosen, grid = "dev", SOME
    else:
        chosen, grid = "cross-validation of train", MORE
    facts: dict[str, Any] = {"chosen_by": chosen, "strengths": list(grid)}
    if chosen != "dev":
        facts |= {"folds": protocol.folds, "seed": protocol.seed}
    return facts | {"features": "|u-v|, u*v" if task.pairs else "u", "tolerance": TOLERANCE}
