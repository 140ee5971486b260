"""Sentence similarity by a prompt with [post], which is fitted to the sentences of a set."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import pearsonr

from embedder.prompts.files import load_prompt
from embedder.prompts.method_rules import PostRules
from embedder.types import Role
from eval.tasks.sts import judge, overall_correlation, summarize_pairs
from tests.eval.tasks.test_sts import Compass, pairs


class Prompted(Compass):
    """A compass that is read by a prompt with [post]."""

    prompt = replace(load_prompt("prompteol"), post=PostRules(whiten=False))


def test_post_processing_is_fitted_to_the_sentences_of_a_set() -> None:
    degrees = {str(at): 3.0 * at**1.3 for at in range(20)}
    drawn = pairs(*((at % 7, str(at), str(at * 3 % 20)) for at in range(20)))
    [plain], [got] = judge([drawn], Compass(degrees)), judge([drawn], Prompted(degrees))
    rows = Compass(degrees).encode(list(degrees), Role.QUERY).dense
    assert rows is not None
    centred = rows - rows.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    cosines = [float(centred[at] @ centred[at * 3 % 20]) for at in range(20)]
    expected = pearsonr(cosines, [at % 7 for at in range(20)])[0]
    assert overall_correlation(got).pearson == pytest.approx(expected, abs=1e-5)
    assert len(got.details["post"]) == 16 and "post" not in plain.details
    assert summarize_pairs(got)["post"] == got.details["post"]


def test_too_few_sentences_to_fit_to_are_refused_before_they_are_read() -> None:
    """They were read first, and the advice was to leave out what stands in a library's prompt."""
    compass = Prompted({"a": 0, "b": 10, "c": 50})
    with pytest.raises(ValueError, match=r"there are, 3; it needs .* a prompt without \[post\]"):
        judge([pairs((5, "a", "b"), (1, "a", "c"))], compass)
    assert not compass.asked
