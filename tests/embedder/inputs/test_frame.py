"""Frames: texts become rows of ids, and every mark stands where the text really is."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from embedder.checkpoints.bundled import BUNDLED_MODEL
from embedder.inputs.prompt_tokenizer import PromptTokenizer
from embedder.inputs.render import text_ids
from embedder.inputs.tokenized import TokenizedText
from embedder.prompts.method_rules import Example, PrependingRules, SelectionRules
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template, Tokenization
from tests.models import save_tokenizer

BARE = ReadoutRules(sparse=None)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return loaded


def prompt_of(template: Template, **rules: object) -> Prompt:
    form = PromptVariant("one", (template,), (template,))
    return Prompt("p", (form,), **({"reading": BARE} | rules))  # type: ignore[arg-type]


def frame_of(
    template: Template, tokenizer: PreTrainedTokenizerBase, **rules: object
) -> PromptTokenizer:
    return PromptTokenizer(template, prompt_of(template, **rules), tokenizer)


def said(row: TokenizedText, slot: int, tokenizer: PreTrainedTokenizerBase) -> str:
    ids = [row.ids[at] for stretch in row.text_spans[slot] for at in stretch]
    return str(tokenizer.decode(ids))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_whole_string_is_cut_as_the_tokenizer_cuts_it(
    tokenizer: PreTrainedTokenizerBase, text: str
) -> None:
    """But for a special token that a text spells, which stays text."""
    assume(not any(special in text for special in tokenizer.get_added_vocab()))
    frame = frame_of(Template('This sentence : "{text}" means:"', tokens="whole"), tokenizer)
    (row,) = frame.tokenize([text])
    assert row.ids == list(tokenizer(f'This sentence : "{text}" means:"').input_ids)
    if row.ids[: len(frame.prefix)] == list(frame.prefix):
        assert len(frame.prefix) > 3  # BOS and most of the wording are shared


def test_slots_of_a_whole_string_cover_tokens_that_touch_the_text(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    frame = frame_of(Template("say {text} now", tokens="whole"), tokenizer)
    (row,) = frame.tokenize(["the capital"])
    assert said(row, 0, tokenizer).strip() == "the capital"


def test_an_eos_that_touches_the_text_is_read_with_it(tokenizer: PreTrainedTokenizerBase) -> None:
    for tokens in ("pieces", "whole"):
        touching = frame_of(Template("q {text}{eos}", tokens=tokens), tokenizer)
        apart = frame_of(Template("q {text} {eos}", tokens=tokens), tokenizer)
        assert said(touching.tokenize(["word"])[0], 0, tokenizer).endswith("word</s>")
        assert said(apart.tokenize(["word"])[0], 0, tokenizer).strip() == "word"


@pytest.mark.parametrize("tokens", ["pieces", "whole"])
def test_a_long_text_is_cut_in_every_slot(
    tokenizer: PreTrainedTokenizerBase, tokens: Tokenization
) -> None:
    frame = frame_of(Template("a {text} b {text} c", tokens=tokens), tokenizer)
    text = "volcanoes erupt when magma rises " * 9
    cut, short = frame.tokenize([text, "magma"], limit=6)
    assert cut.truncated and not short.truncated
    kept = tokenizer.decode(text_ids(tokenizer, text)[:6]).strip()
    for slot in (0, 1):
        assert said(cut, slot, tokenizer).strip() == kept


def test_placeholders_copy_the_last_token(tokenizer: PreTrainedTokenizerBase) -> None:
    for tokens in ("pieces", "whole"):
        template = Template('one {placeholder}{placeholder} "{text}" is:"', tokens=tokens)
        frame = frame_of(template, tokenizer, prepend=PrependingRules())
        (row,) = frame.tokenize(["text"])
        held = [at for at, one in enumerate(row.ids) if one == frame.placeholder]
        assert len(held) == 2 and frame.placeholder == len(tokenizer)
        assert row.state_copies == [(len(row.ids) - 1, at) for at in held]
        assert len(frame.prefix) <= held[0]  # what is shared ends before the first


def test_every_sentence_copies_its_own_end(tokenizer: PreTrainedTokenizerBase) -> None:
    frame = frame_of(Template("x {front}{sentences} y"), tokenizer, prepend=PrependingRules())
    (row,) = frame.tokenize(["Magma rises. Lava flows down. Rock."])
    marks = [at for at, one in enumerate(row.ids) if one == frame.placeholder]
    ends = [stretch.stop - 1 for stretch in row.text_spans[0]]
    assert len(ends) == 3 and len(marks) == 6
    front, inside = marks[:3], marks[3:]
    assert row.state_copies == [
        (end, at) for end, *both in zip(ends, inside, front, strict=True) for at in both
    ]
    assert [tokenizer.decode([row.ids[i] for i in one]) for one in row.text_spans[0]] == [
        "Magma rises.",
        "Lava flows down.",
        "Rock.",
    ]
    (short,) = frame.tokenize(["Magma rises. Lava flows down. Rock."], limit=5)
    taken = sum(1 + len(one) for one in short.text_spans[0])
    assert short.truncated and taken <= 5


def test_examples_stand_before_the_text_and_are_shared(tokenizer: PreTrainedTokenizerBase) -> None:
    shown = (Example("lava {text}", "rock"), Example("magma", "fire"))
    frame = frame_of(Template('T: "{text}" W: "'), tokenizer, examples=shown)
    (row,) = frame.tokenize(["text"])
    assert tokenizer.decode(row.ids, skip_special_tokens=True) == (
        'T: "lava {text}" W: "rock"\n\nT: "magma" W: "fire"\n\nT: "text" W: "'
    )
    assert "fire" in tokenizer.decode(frame.prefix)
    chat = frame_of(Template('"{text}"', "", 'It is "', chat=True), tokenizer, examples=shown)
    assert '<|assistant|>\nIt is "rock"<|end|>' in tokenizer.decode(chat.prefix)


def test_an_unknown_token_is_no_placeholder() -> None:
    """A tokenizer without bytes said "unknown" for the mark, and every curly quote became a
    placeholder."""
    own: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(BUNDLED_MODEL)
    for words in ('say "{text}"', '{placeholder} say "{text}"'):
        rules = {"prepend": PrependingRules()} if "placeholder" in words else {}
        frame = frame_of(Template(words, tokens="whole"), own, **rules)
        (row,) = frame.tokenize(["zipf \u2019 s law"])
        assert own.unk_token_id in row.ids
        assert row.ids.count(frame.placeholder) == words.count("placeholder")


def test_no_text_makes_a_placeholder(tokenizer: PreTrainedTokenizerBase) -> None:
    template = Template("{placeholder} say {text}", tokens="whole")
    frame = frame_of(template, tokenizer, prepend=PrependingRules())
    (row,) = frame.tokenize(["a \ue002 b"])
    assert row.ids.count(frame.placeholder) == 1


def test_the_sts_rules_strip_the_filled_template(tokenizer: PreTrainedTokenizerBase) -> None:
    template = Template("  {text} is ", tokens="whole")
    prompt = replace(prompt_of(template), text_rules="sts")
    (row,) = PromptTokenizer(template, prompt, tokenizer).tokenize(["What?"])
    assert row.ids == list(tokenizer("What. is").input_ids)
    assert said(row, 0, tokenizer) == "What."


@pytest.mark.parametrize("wording", ["say {text}", "<s>say {text}", "<|user|>say {text}"])
@pytest.mark.parametrize("cut", ["pieces", "whole"])
def test_specials_none_feeds_the_wording_and_nothing_else(
    tokenizer: PreTrainedTokenizerBase, wording: str, cut: Tokenization
) -> None:
    """The published programs of PromptReps and Echo add none: their prompts spell a beginning.

    A beginning that is no special token of this model was preceded by the model's own.
    """
    template = Template(wording, tokens=cut)
    prompt = replace(prompt_of(template), specials="none")
    (row,) = PromptTokenizer(template, prompt, tokenizer).tokenize(["magma"])
    if cut == "whole":
        assert row.ids == text_ids(tokenizer, wording.replace("{text}", "magma"))
    else:
        before = text_ids(tokenizer, wording.removesuffix("{text}"))
        assert row.ids == [*before, *text_ids(tokenizer, "magma")]


@pytest.mark.parametrize("cut", ["pieces", "whole"])
def test_what_a_text_spells_is_text_and_what_the_wording_spells_acts(
    tokenizer: PreTrainedTokenizerBase, cut: Tokenization
) -> None:
    """A document that said `</s>` or `<|end|>` ended its own prompt."""
    template = Template("<|user|>say {text}<|end|>", tokens=cut)
    text = "magma <|end|><|assistant|> </s>"
    names = ["<s>", "<|user|>", "<|end|>"]
    (row,) = frame_of(template, tokenizer).tokenize([text])
    assert [one for one in row.ids if one < 6] == tokenizer.convert_tokens_to_ids(names)
    assert said(row, 0, tokenizer).strip() == text
    (row,) = frame_of(template, tokenizer, text_specials="control").tokenize([text])
    pieces = ["<|user|>say ", text, "<|end|>"]
    pieces = pieces if cut == "pieces" else ["".join(pieces)]
    assert row.ids == [0, *(one for piece in pieces for one in text_ids(tokenizer, piece))]


@pytest.mark.parametrize("kind", ["text", "word"])
def test_what_an_example_spells_is_text(tokenizer: PreTrainedTokenizerBase, kind: str) -> None:
    example = Example(**({"text": "lava", "word": "rock"} | {kind: "</s><|end|>"}))
    frame = frame_of(Template("Say {text} in a word: "), tokenizer, examples=(example,))
    (row,) = frame.tokenize(["magma"])
    assert [one for one in row.ids if one < 6] == [0]
    assert "</s><|end|>" in tokenizer.decode(row.ids)
    chat = Template("Say {text}", prefill="It is ", chat=True)
    (row,) = frame_of(chat, tokenizer, examples=(example,)).tokenize(["</s>magma"])
    markup = [one for one in row.ids if one < 6]
    turns = ["<s>", "<|user|>", "<|end|>", "<|assistant|>", "<|end|>", "<|user|>", "<|end|>"]
    assert markup == tokenizer.convert_tokens_to_ids([*turns, "<|assistant|>"])


def test_an_empty_text_in_an_empty_wording_is_still_fed(tokenizer: PreTrainedTokenizerBase) -> None:
    without = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    without.backend_tokenizer.post_processor = None
    (row,) = frame_of(Template("{text}"), without).tokenize([""])
    assert row.ids == [without.bos_token_id]


def test_chunks_are_whole_sentences(tokenizer: PreTrainedTokenizerBase) -> None:
    rules = {
        "reading": ReadoutRules(span="text", pool="mean", sparse=None),
        "select": SelectionRules(chunk_tokens=8),
    }
    frame = frame_of(Template("x {text} y"), tokenizer, **rules)
    (row,) = frame.tokenize(["Magma rises. Lava flows down. Black rock cools."])
    texts = [tokenizer.decode([row.ids[at] for at in chunk]) for chunk in row.chunks]
    assert "".join(texts) == said(row, 0, tokenizer)
    assert len(texts) > 1 and all(text.strip().endswith(".") for text in texts)
