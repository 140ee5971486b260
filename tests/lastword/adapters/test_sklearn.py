"""Encoders under scikit-learn: pipelines, clones, pickles, tables."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import lastword
from embedder.text_encoder import TextEncoder
from lastword.adapters.sklearn import TextVectorizer
from tests.one_line import check_one_line

pd = pytest.importorskip("pandas")

TEXTS = ["green tea", "black tea", "white tea", "a red car", "a blue car", "fast cars"]
LABELS = [0, 0, 0, 1, 1, 1]


def test_rows_are_the_encoders(encoder: TextEncoder) -> None:
    dense: Any = TextVectorizer(encoder).fit_transform(TEXTS)
    assert np.array_equal(dense, encoder.encode_document(TEXTS, "dense"))
    queries: Any = TextVectorizer(encoder, role="query").fit(TEXTS).transform(np.array(TEXTS))
    assert np.array_equal(queries, encoder.encode_query(TEXTS, "dense"))
    sparse = TextVectorizer(encoder, channel="sparse").fit_transform(pd.Series(TEXTS))
    assert (sparse != encoder.encode_document(TEXTS, "sparse")).nnz == 0
    words = TextVectorizer("bm25", channel="sparse").fit_transform(TEXTS)
    expected = lastword.load_encoder("bm25").encode_document(TEXTS, "sparse")
    assert (words != expected).nnz == 0


def test_a_pipeline_learns_from_them(encoder: TextEncoder) -> None:
    pipeline = make_pipeline(TextVectorizer(encoder), LogisticRegression()).fit(TEXTS, LABELS)
    by_hand = LogisticRegression().fit(encoder.encode_document(TEXTS, "dense"), LABELS)
    expected = by_hand.predict_proba(encoder.encode_document(["a cup of tea"], "dense"))
    assert np.array_equal(pipeline.predict_proba(["a cup of tea"]), expected)
    grid = {"textvectorizer__channel": ["dense", "sparse"]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(TEXTS, LABELS)
    assert len(search.cv_results_["params"]) == 2


def test_clones_share_the_encoder_and_are_not_fitted(encoder: TextEncoder) -> None:
    """scikit-learn copies what it does not know, and a model is large."""
    fitted = TextVectorizer(encoder).set_output(transform="pandas").fit(TEXTS)
    copied = clone(fitted)
    assert copied.model is encoder and not hasattr(copied, "fingerprint_")
    assert isinstance(copied.fit_transform(TEXTS), pd.DataFrame)
    assert fitted.fingerprint_ == encoder.fingerprint


def test_columns_have_names_in_a_table(encoder: TextEncoder) -> None:
    table = pd.DataFrame({"text": TEXTS, "year": range(6)})
    columns = make_column_transformer((TextVectorizer(encoder), "text"), remainder="passthrough")
    rows = columns.set_output(transform="pandas").fit_transform(table)
    assert list(rows.columns[[0, -1]]) == ["textvectorizer__textvectorizer0", "remainder__year"]
    assert rows.shape == (6, encoder.encode_document(TEXTS, "dense").shape[1] + 1)


def test_a_pickle_names_the_model_and_refuses_another() -> None:
    fitted = TextVectorizer("bundled").fit(TEXTS)
    rows: Any = fitted.transform(TEXTS)
    pickled = pickle.dumps(fitted)
    assert len(pickled) < 10_000
    assert np.array_equal(pickle.loads(pickled).transform(TEXTS), rows)
    fitted.fingerprint_ = "{}"
    changed = pickle.loads(pickle.dumps(fitted))
    for _ in range(2):
        with pytest.raises(ValueError, match="bundled gives other vectors than when it was fitted"):
            changed.transform(TEXTS)
    assert np.array_equal(changed.fit(TEXTS).transform(TEXTS), rows)


WRONG: Any = 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: TextVectorizer(WRONG).fit(TEXTS), TypeError, "lastword.load_encoder; got int"),
        (lambda e: TextVectorizer(e).fit("tea"), TypeError, "takes a list of texts; got one"),
        (lambda e: TextVectorizer(e).fit([WRONG]), TypeError, "item 0 is int 3"),
        (lambda e: TextVectorizer(e).fit({"a": "b"}), TypeError, "one column of texts; got dict"),
        (lambda e: TextVectorizer(e).fit(iter("ab")), TypeError, "one column of texts; got str_"),
        (lambda e: TextVectorizer(e).fit(pd.DataFrame({"a": TEXTS})), TypeError, "got DataFrame"),
        (lambda e: TextVectorizer(e).fit([]), ValueError, "fit needs a text; got none"),
        (lambda e: TextVectorizer(e, "promptreps").fit(TEXTS), ValueError, "encoder has its own"),
        (lambda e: TextVectorizer(e, role=WRONG).fit(TEXTS), ValueError, "role is document or"),
        (lambda e: TextVectorizer(e, channel=WRONG).fit(TEXTS), ValueError, "dense or sparse"),
        (lambda e: TextVectorizer("bm25").fit(TEXTS), ValueError, "gives no dense rows"),
        (lambda e: TextVectorizer(e).transform(TEXTS), ValueError, "is not fitted yet"),
    ],
)
def test_a_wrong_call_is_one_clear_error(
    call: Callable[[Any], object], error: type[Exception], message: str, encoder: TextEncoder
) -> None:
    check_one_line(lambda: call(encoder), error, message)
