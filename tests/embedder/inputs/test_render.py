"""Rendering: text apart from prompt, one BOS, an open answer, on tokenizers of several kinds."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from embedder.inputs.conversation import Turn, prompt_ids
from embedder.inputs.prompt_tokenizer import PromptTokenizer
from embedder.inputs.render import choose_form, rendered, text_ids
from embedder.prompts.files import load_prompt
from embedder.prompts.template import Template
from tests.models import save_tokenizer

NO_SYSTEM = (
    "{% for m in messages %}{% if m['role'] == 'system' %}"
    "{{ raise_exception('no system role') }}{% endif %}"
    "<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
)


def tokenizer(folder: Path, chat: bool = True, bos: bool = True) -> PreTrainedTokenizerBase:
    save_tokenizer(folder, chat, bos)
    loaded: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return loaded


def split(template: Template, loaded: PreTrainedTokenizerBase) -> tuple[str, str]:
    """Return what is fed before and after the text."""
    before, slot, after = rendered(template, PROMPT, loaded)
    assert slot.kind == "text"
    return before.text, after.text


def frame(template: Template, loaded: PreTrainedTokenizerBase) -> PromptTokenizer:
    return PromptTokenizer(template, PROMPT, loaded)


THINKING = (
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
    "{% endif %}"
)
PROMPT = load_prompt("promptreps")
TURN = Template('Passage: "{text}". One word.', "Be brief.", 'The word is "', chat=True)


def test_the_answer_stays_open(tmp_path: Path) -> None:
    before, after = split(TURN, tokenizer(tmp_path))
    assert before == '<|system|>\nBe brief.<|end|>\n<|user|>\nPassage: "'
    assert after == '". One word.<|end|>\n<|assistant|>\nThe word is "'


def test_without_prefill_the_assistant_turn_is_opened(tmp_path: Path) -> None:
    _, after = split(Template("{text}", chat=True), tokenizer(tmp_path))
    assert after == "<|end|>\n<|assistant|>\n"


def test_a_model_that_can_think_aloud_is_asked_not_to(tmp_path: Path) -> None:
    """Prompts once left thinking on where conversations switched it off, for the same model."""
    loaded = tokenizer(tmp_path)
    loaded.chat_template = THINKING
    _, after = split(Template("{text}", chat=True), loaded)
    assert after == "<|end|>\n<|assistant|>\n<think></think>"
    ids = prompt_ids([Turn("user", "a text")], loaded)
    assert str(loaded.decode(ids)).endswith(after)


def test_a_model_without_system_role_gets_it_in_the_user_turn(tmp_path: Path) -> None:
    loaded = tokenizer(tmp_path)
    loaded.chat_template = NO_SYSTEM
    before, _ = split(TURN, loaded)
    assert before == '<|user|>Be brief. Passage: "'


def test_a_template_that_repeats_the_text_is_refused(tmp_path: Path) -> None:
    loaded = tokenizer(tmp_path)
    loaded.chat_template = "{{ messages[0]['content'] }}{{ messages[0]['content'] }}"
    with pytest.raises(ValueError, match="2 times, expected once"):
        split(Template("{text}", chat=True), loaded)


@pytest.mark.parametrize("wording", ["<s>say {text} now", "say {text} now"])
def test_bos_stands_first_and_once(tmp_path: Path, wording: str) -> None:
    loaded = tokenizer(tmp_path)
    prefix = frame(Template(wording), loaded).prefix
    assert prefix[0] == loaded.bos_token_id
    assert prefix.count(loaded.bos_token_id) == 1


def test_a_tokenizer_without_bos_gets_none(tmp_path: Path) -> None:
    loaded = tokenizer(tmp_path, bos=False)
    assert frame(Template("say {text}"), loaded).prefix == tuple(text_ids(loaded, "say "))


def test_the_first_form_that_fits_is_chosen(tmp_path: Path) -> None:
    prompt = load_prompt("promptreps")
    assert choose_form(prompt, tokenizer(tmp_path / "a")).name == "chat"
    assert choose_form(prompt, tokenizer(tmp_path / "b", chat=False)).name == "plain"
    paper = load_prompt("promptreps-paper")
    assert choose_form(paper, tokenizer(tmp_path / "c")).name == "phi-3"  # it has <|assistant|>
    with pytest.raises(ValueError, match="choose a prompt with a plain form"):
        choose_form(load_prompt("promptreps-paper-multi-word-multi"), tokenizer(tmp_path / "d"))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    return tokenizer(tmp_path_factory.mktemp("tokenizer"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(max_size=40))
def test_no_text_changes_what_stands_around_it(shared: PreTrainedTokenizerBase, text: str) -> None:
    form = choose_form(load_prompt("promptreps"), shared)
    for template in form.all:
        around = frame(template, shared)
        (row,) = around.tokenize([text])
        assert row.ids == [*around.prefix, *text_ids(shared, text), *around.ending]
        assert [row.ids[at] for at in row.text_spans[0][0]] == text_ids(shared, text)
        assert shared.decode(around.ending).endswith('The word is "')
