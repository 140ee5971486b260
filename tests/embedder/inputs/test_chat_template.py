"""Chat templates come with models: they render as transformers does, or fail in one line."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from embedder.inputs.chat_template import ChatTemplateError, render_chat
from embedder.inputs.conversation import Turn, prompt_ids
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from lastword.main import main
from tests.models import CHAT, load_llm, save_llama, save_tokenizer

GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
TOOLS = "{{ messages | tojson(indent=2) }}{% set ns = namespace(n=1) %}{{ ns.n }}{{ eos_token }}"
TURNS = [
    {"role": "user", "content": "naïve {text} </s>\ud83d"},
    {"role": "assistant", "content": 'The word is: "'},
]


@pytest.fixture
def tokenizer(tmp_path: Path) -> PreTrainedTokenizerBase:
    save_tokenizer(tmp_path)
    return AutoTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("template", [CHAT, GEMMA, TOOLS], ids=["plain", "gemma", "tools"])
@pytest.mark.parametrize(
    "options", [{}, {"add_generation_prompt": True, "enable_thinking": False}, {"prefilled": 1}]
)
def test_it_renders_as_transformers_does(
    tokenizer: PreTrainedTokenizerBase, template: str, options: dict[str, bool]
) -> None:
    tokenizer.chat_template = template
    if "prefilled" in options and template == TOOLS:
        pytest.skip("the text of a tool call is not continued")
    given = {"continue_final_message": True} if "prefilled" in options else options
    want = tokenizer.apply_chat_template(TURNS, tokenize=False, **given)
    assert render_chat(tokenizer, TURNS, **given) == want


NESTED = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}x"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ raise_exception('only for tools') }}", "TemplateError: only for tools"),
        ("{{ messages[0].role.foo.bar }}", "UndefinedError: 'str object' has no attribute 'foo'"),
        ("{% for m in messages %}{{ m.content ", "TemplateSyntaxError: unexpected end"),
        ("{% for %}", "TemplateSyntaxError"),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
        ("{{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ messages + 3 }}", "TypeError"),
        (NESTED, "did not end within 2 seconds"),
        ("{{ 10 ** (10 ** 9) }}", "did not end within 2 seconds"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "RecursionError"),
        ("{{ 'x' * 10 ** 11 }}", "more than 512 MB of memory"),
        ("{{ 'x'.ljust(10 ** 11) }}", "more than 512 MB of memory"),
        ("{% set n = namespace(s='x') %}{% for i in range(60) %}{% set n.s = n.s ~ n.s %}"
         "{% endfor %}{{ n.s }}", "memory"),
        ("{{ 'x' * 10 ** 7 }}", "it rendered 10,000,000 characters"),
    ],
)  # fmt: skip
def test_a_template_that_fails_is_one_line(
    tokenizer: PreTrainedTokenizerBase, template: str, said: str
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(ChatTemplateError) as caught:
        render_chat(tokenizer, TURNS)
    line = str(caught.value)
    assert said in line and "\n" not in line and line.startswith(tokenizer.name_or_path)


def test_a_stop_is_remembered_and_the_next_template_renders(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Both wordings of a prompt, and every candidate of a search, would wait again."""
    tokenizer.chat_template = NESTED
    for _ in range(100):
        with pytest.raises(ChatTemplateError):
            render_chat(tokenizer, TURNS)
    tokenizer.chat_template = CHAT
    assert "assistant" in render_chat(tokenizer, TURNS)


def test_the_command_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = save_llama(tmp_path / "m")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "{{ raise_exception('only for tools') }}{{ messages[0]['content'] }}"
    tokenizer.save_pretrained(folder)
    texts = tmp_path / "two.jsonl"
    texts.write_text('{"_id": "a", "text": "green tea"}\n')
    command = ["index", str(texts), "-o", str(tmp_path / "i"), "--model", str(folder), "-q"]
    capsys.readouterr()
    assert main(command) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert "only for tools; take a plain prompt" in err and str(folder) in err
    assert main([*command, "--prompt", "prompteol"]) == 0
    with pytest.raises(ChatTemplateError):  # a writer is asked through the same
        prompt_ids([Turn("user", "x")], tokenizer)
    options = LLMOptions(dtype="float32")
    with pytest.raises(ChatTemplateError):
        load_llm(folder, load_prompt("promptreps"), options)
