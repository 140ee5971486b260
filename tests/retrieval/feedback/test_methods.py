"""RM3 and Rocchio by hand, and how they are written."""

import math

import numpy as np
import pytest

from retrieval.feedback.read import Feedback, read_feedback
from retrieval.feedback.rm3 import RM3
from retrieval.feedback.rocchio import Rocchio


def test_rm3_by_hand() -> None:
    """Two terms a document: the first loses its third; of equal terms the first column stays."""
    documents = np.array([[3.0, 1, 1, 0], [0, 2, 0, 2]])
    scores = np.array([4.0, 2.0])
    feedback = RM3(terms=2, weight=0.25)
    # [3/4, 1/4, 0, 0] * 4 + [0, 1/2, 0, 1/2] * 2 = [3, 2, 0, 1]; two of them stay
    model = feedback.model(documents, scores)
    np.testing.assert_allclose(model, [3 / 5, 2 / 5, 0, 0])
    query = np.array([0, 0, 2.0, 2.0])
    np.testing.assert_allclose(feedback.mix(query, model), [0.45, 0.3, 0.125, 0.125])
    equal = RM3(terms=1).model(np.array([[1.0, 1, 0]]), np.array([2.0]))
    assert equal.tolist() == [1, 0, 0]


def test_rocchio_by_hand() -> None:
    documents = np.array([[3.0, 4, 0], [0, 0, 2]])
    feedback = Rocchio(terms=2, alpha=2, beta=0.5)
    # the mean of [.6, .8, 0] and [0, 0, 1] is [.3, .4, .5], of which the last two stay
    model = feedback.model(documents, np.array([9.0, 1.0]))
    length = math.hypot(0.4, 0.5)
    np.testing.assert_allclose(model, [0, 0.4 / length, 0.5 / length])
    mixed = feedback.mix(np.array([3.0, 4, 0]), model)
    np.testing.assert_allclose(mixed, [1.2, 1.6 + 0.2 / length, 0.25 / length])


def test_rocchio_on_dense_rows_by_hand_and_as_an_average() -> None:
    """alpha 1 and beta n give n + 1 times the average of Li et al. (TOIS 2023)."""
    query, documents = np.array([1.0, 0]), np.array([[0, 1.0], [0.6, 0.8]])
    np.testing.assert_allclose(Rocchio().mix_dense(query, documents), [1.225, 0.675])
    average = np.vstack([query, documents]).mean(axis=0)
    np.testing.assert_allclose(Rocchio(beta=2).mix_dense(query, documents), 3 * average)


def test_documents_without_terms_and_scores_below_0_add_nothing() -> None:
    nothing = np.zeros((2, 3))
    for feedback in (RM3(), Rocchio()):
        assert not feedback.model(nothing, np.ones(2)).any()
    assert not RM3().model(np.ones((2, 3)), np.array([-1.0, -2.0])).any()


@pytest.mark.parametrize(
    ("text", "feedback"),
    [
        ("rm3", RM3()),
        ("rm3:documents=3,terms=20,weight=0.25,common=0.5", RM3(3, 20, 0.5, weight=0.25)),
        ("rocchio", Rocchio()),
        ("rocchio:alpha=0.5,beta=2,from=fused", Rocchio(fused=True, alpha=0.5, beta=2.0)),
    ],
)
def test_what_is_written_is_read_and_written_again(text: str, feedback: Feedback) -> None:
    assert read_feedback(text) == feedback
    assert read_feedback(str(feedback)) == feedback
    assert read_feedback("rm3:from=channel") == RM3()
    assert read_feedback("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rm4", "no feedback is called 'rm4'; there is rm3, rocchio"),
        ("rm3:", "expected settings of documents, terms, common, weight and from"),
        ("rm3:beta=1", "expected settings of .* got 'beta=1'"),
        ("rocchio:beta=1,beta=2", "each once; got 'beta=2'"),
        ("rm3:documents=2.5", "documents takes a whole number; got '2.5'"),
        ("rm3:weight=much", "weight takes a number; got 'much'"),
        ("rm3:weight=1.5", "weight of the query from 0 to 1; got 1.5"),
        ("rm3:documents=0", "at least 1 document"),
        ("rm3:common=nan", "common from 0 to 1"),
        ("rocchio:beta=inf", "beta of feedback is 0 to 1,000,000; got inf"),
        ("rocchio:alpha=-1", "alpha of feedback is 0 to 1,000,000; got -1"),
        ("rm3:terms=" + "9" * 5000, "terms takes a whole number"),
        ("rm3:terms=" + "9" * 4000, "terms of feedback is 0 to 1,000,000; got 9{20}$"),
        ("rocchio:alpha=0,beta=0", "an alpha or a beta above 0"),
        ("rocchio:from=bm25", "from takes fused or channel; got 'bm25'"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_feedback(text)
