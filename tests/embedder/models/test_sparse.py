"""Sparse rows by hand: log-saturation, allowed terms, fallback, expansion, merged forms."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from embedder.inputs.vocabulary import TermVocabulary
from embedder.models.sparse import merge_forms, select, term_weights, top_allowed
from embedder.models.sparse_rows import to_rows
from embedder.prompts.readout_rules import SparseRules
from embedder.text.stop_words import content_words, stop_words
from tests.models import save_tokenizer


def table(folder: Path, **rules: int | bool) -> TermVocabulary:
    size = save_tokenizer(folder)
    return TermVocabulary(AutoTokenizer.from_pretrained(folder), size, SparseRules(**rules))  # type: ignore[arg-type]


def test_words_that_may_be_added_are_letters_alone() -> None:
    """The program's filter takes letters or digits; "a1" is neither, and was taken here."""
    names = {"<unk>": 0, "a1": 1, "ab": 2, "\u2581cd": 3, "7": 4, "Ab": 5, "\u2581": 6}
    inner = Tokenizer(models.WordLevel(names, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    table = TermVocabulary(tokenizer, 9, SparseRules())
    assert np.flatnonzero(table.expandable).tolist() == [2, 3]


def test_weights_by_hand() -> None:
    got = term_weights(torch.tensor([[math.e - 1, 0.0, -3.0]]))
    assert torch.allclose(got, torch.tensor([[1.0, 0.0, 0.0]]))


def test_the_strongest_allowed_terms_are_kept_and_ties_go_to_the_lower_column() -> None:
    weights = torch.tensor([[9.0, 1.0, 2.0, 2.0, 3.0]])
    terms, kept = top_allowed(weights, torch.tensor([[1, 2, 3, 4, -1]]), top=3)
    assert terms.tolist() == [[4, 2, 3]] and kept.tolist() == [[3.0, 2.0, 2.0]]


def test_rows_drop_zeros_and_round_as_the_paper() -> None:
    terms = [np.array([7, 2, 5]), np.array([], dtype=np.int64)]
    weights = [np.array([0.125, 0.004, 1.0], np.float32), np.array([], np.float32)]
    got = to_rows(terms, weights, 9, scale=100)
    assert got[0].indices.tolist() == [5, 7] and got[0].data.tolist() == [100.0, 12.0]
    assert got[1].nnz == 0 and got.shape == (2, 9)


def test_merging_keeps_the_largest_form() -> None:
    got = merge_forms(torch.tensor([[1.0, 5.0, 2.0, 4.0]]), torch.tensor([0, 0, 2, 2]))
    assert got.tolist() == [[5.0, 0.0, 4.0, 0.0]]


def test_a_text_without_content_words_takes_the_best_of_the_vocabulary(tmp_path: Path) -> None:
    words = table(tmp_path, fallback=2)
    logits = torch.zeros(2, words.columns)
    logits[:, 40], logits[:, 30], logits[:, 20] = 3.0, 2.0, 1.0
    terms, weights = select(logits, [np.array([20]), np.array([], np.int64)], words)
    rows = to_rows(list(terms.numpy()), list(weights.numpy()), words.columns)
    assert rows[0].indices.tolist() == [20] and rows[1].indices.tolist() == [30, 40]


def test_expansion_adds_only_words_from_outside(tmp_path: Path) -> None:
    words = table(tmp_path, expansion=1)
    eligible = np.flatnonzero(words.expandable)[:2]
    logits = torch.zeros(1, words.columns)
    logits[0, eligible[0]], logits[0, eligible[1]] = 3.0, 2.0
    logits[0, 0] = 9.0  # <s> is no word
    terms, weights = select(logits, [eligible[:1]], words)
    rows = to_rows(list(terms.numpy()), list(weights.numpy()), words.columns)
    assert rows[0].indices.tolist() == sorted(eligible.tolist())


def test_surface_forms_share_a_column(tmp_path: Path) -> None:
    words = table(tmp_path, merge_forms=True)
    assert words.canonical is not None
    vocabulary = AutoTokenizer.from_pretrained(tmp_path).get_vocab()
    forms = {
        int(words.canonical[vocabulary[form]]) for form in ("word", "Ġword") if form in vocabulary
    }
    assert len(forms) == 1
    assert set(words.allowed(["Word"])[0]) == set(words.allowed(["the word is"])[0])


@given(st.text(max_size=60))
def test_content_words_are_lower_case_without_stops_and_punctuation(text: str) -> None:
    stops = stop_words("english")
    for word in content_words(text, "unicode", stops):
        assert word not in stops and word == word.lower() and word.strip()


def test_a_curly_apostrophe_is_an_apostrophe() -> None:
    curly = "we don\N{RIGHT SINGLE QUOTATION MARK}t erupt"
    assert content_words(curly, "unicode", stop_words("english")) == ["erupt"]


def test_the_stop_list_has_198_words() -> None:
    assert len(stop_words("english")) == 198
    with pytest.raises(ValueError, match="there is arabic"):
        stop_words("klingon")
