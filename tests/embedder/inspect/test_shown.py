"""What `prompts show` says: the tokens that are fed, where they are read, and the words."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from embedder.encoders.llm import LLMEncoder
from embedder.inspect.preview import PLACEHOLDER, Preview, preview_prompt, shortened
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from embedder.text.words import find_words
from embedder.types import Role
from lastword.commands.prompts.prompts_view import fed as written
from tests.models import LINES, load_llm, save_llama
from tests.shapes import save_shape


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_shape("llama", tmp_path_factory.mktemp("deep"))


def shown(folder: Path, name: str, text: str = LINES[0]) -> tuple[Preview, LLMEncoder]:
    encoder = load_llm(folder, load_prompt(name), LLMOptions(dtype="float32"))
    return preview_prompt(encoder, text, Role.QUERY), encoder


def test_the_tokens_are_those_that_are_fed(deep: Path) -> None:
    for name in ("prompteol-tp", "metaeol", "htp", "echo", "prompteol-cp"):
        told, encoder = shown(deep, name)
        fed = encoder.fed(LINES[0], Role.QUERY)
        assert [[one for one, _ in w.tokens] for w in told.wordings] == [
            r.ids for r in fed.wordings
        ]
        assert (told.auxiliary is None) == (fed.auxiliary is None)


def test_placeholders_and_depths_are_named(deep: Path) -> None:
    told, encoder = shown(deep, "prompteol-tp")
    (wording,) = told.wordings
    (at,) = wording.placeholders
    assert wording.tokens[at] == (encoder.reader.frames[Role.QUERY][0].placeholder, PLACEHOLDER)
    assert wording.read == (len(wording.tokens) - 1,)
    assert (told.blocks, told.depth) == (5, 6)
    assert told.rules[0] == (
        "Read: the last token, layer 0.84 = block 5 of 6, before the final norm."
    )
    assert "Before block 2 of 6, <PST> takes the last token's state" in told.rules[2]


def test_what_stands_before_the_wording_is_told(deep: Path) -> None:
    told, _ = shown(deep, "prompteol")
    assert told.wordings[0].tokens[0][1] == "<s>"
    assert "The tokenizer's own <s> stands first (specials = model)." in told.rules
    prompt = replace(load_prompt("prompteol"), text_specials="control")
    acting = load_llm(deep, prompt, LLMOptions(dtype="float32"))
    rules = preview_prompt(acting, "</s>", Role.QUERY).rules
    assert "Special tokens that a text spells act (text_specials = control)." in rules
    told, _ = shown(deep, "echo-retrieval")
    assert [name for _, name in told.wordings[0].tokens].count("<s>") == 1
    assert "Nothing is put before the wording (specials = none)." in told.rules


def test_an_echo_of_nothing_is_told_to_be_zeros(deep: Path) -> None:
    told, encoder = shown(deep, "echo", "")
    assert told.wordings[0].read == () and told.rules[-1].endswith("so the row is zeros.")
    assert not encoder.states([""], Role.QUERY).any()
    both = encoder.states(["", LINES[0]], Role.QUERY)
    assert not both[0].any() and both[1].any()


def test_contrast_says_where_it_acts(deep: Path) -> None:
    told, _ = shown(deep, "prompteol-cp")
    assert any(rule.startswith("[contrast] In block 2 of 6") for rule in told.rules)


def test_next_words_are_the_models_own(deep: Path) -> None:
    told, encoder = shown(deep, "prompteol")
    ids = encoder.fed(LINES[0], Role.QUERY).wordings[0].ids
    with torch.no_grad():
        logits = encoder.backbone.model(torch.tensor([ids])).logits[0, -1]
    likely = torch.softmax(logits, 0).topk(10).values
    assert told.amount == "probability"
    assert torch.allclose(torch.tensor([n for _, n in told.words]), likely, atol=1e-5)


def test_a_mean_over_the_text_says_no_word(deep: Path) -> None:
    told, _ = shown(deep, "mean")
    assert told.words == () and "here the row is the mean over the text" in told.silent
    bidirectional, _ = shown(deep, "gritlm")
    assert "bidirectional model is not about to say a word" in bidirectional.silent


def test_words_of_sparse_rows_keep_their_weights(tmp_path: Path) -> None:
    told, encoder = shown(save_llama(tmp_path), "promptreps")
    row = encoder.encode([LINES[0]], Role.QUERY).sparse
    assert row is not None and told.amount == "weight"
    weights = sorted(row.data.tolist(), reverse=True)
    pieces = preview_prompt(encoder, LINES[0], Role.QUERY, pieces=True).words
    assert [n for _, n in pieces] == weights[:10]
    assert told.words[0][1] == weights[0] and len(told.words) < len(weights)
    assert {word for word, _ in told.words} <= set(find_words(LINES[0]))


def test_what_is_fed_is_shown_as_text_or_as_tokens(tmp_path: Path) -> None:
    told, _ = shown(save_llama(tmp_path), "promptreps")
    (wording,) = told.wordings
    assert "".join(text for *_, text in wording.stretches).count(LINES[0]) == 1
    ends = [end for _, end, _ in wording.stretches]
    assert (
        ends[-1] == len(wording.tokens)
        and [start for start, *_ in wording.stretches[1:]] == (ends[:-1])
    )
    whole, pieces = written(wording).plain, written(wording, pieces=True).plain
    assert f"⟦{LINES[0]}⟧" in whole and "\u0120" not in whole
    assert "\u0120capital" in pieces or "\u0120c" in pieces
    assert whole.endswith("◀") and pieces.endswith("◀")


def test_what_needs_a_collection_or_a_writer_is_left_out_aloud() -> None:
    for name, word in (("rice", "[sample]"), ("geneol", "[rewrite]")):
        prompt, said = shortened(load_prompt(name))
        assert prompt.sample is None and prompt.rewrite is None and said[0].startswith(word)
