"""A generator against a plain loop of its own: alone, in batches, greedy and drawn."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embedder.inputs.conversation import Turn, ends, prompt_ids
from embedder.inputs.tokenized import shared_length
from embedder.models.batching import left_pad
from embedder.models.generation import GenerationOptions, Generator, own_seed
from embedder.models.loading import LLMOptions, load_backbone
from tests.models import LINES, save_llama
from tests.shapes import save_shape

ASKED = [[Turn("user", line)] for line in [*LINES, "a", "Why is the sky blue? " * 4]]
DRAWN = GenerationOptions(max_new_tokens=12, temperature=0.8, top_p=0.9, seed=3)


@pytest.fixture(scope="module")
def generator(llama: Path) -> Generator:
    return Generator.load(llama, LLMOptions(dtype="float32"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    folder = save_llama(tmp_path_factory.mktemp("plain"), seed=2, chat=False)
    return Generator.load(folder, LLMOptions(dtype="float32"))


def by_hand(generator: Generator, turns: list[Turn], rule: GenerationOptions) -> str:
    """One conversation, no padding, no cache, the whole sequence again for every token."""
    tokenizer, model = generator.backbone.tokenizer, generator.backbone.model
    ids = prompt_ids(turns, tokenizer)
    numbers = np.random.default_rng(own_seed(turns, rule.seed))
    said: list[int] = []
    for _ in range(rule.max_new_tokens):
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *said]])).logits[0, -1].double().numpy()
        said.append(drawn(logits, rule, numbers) if rule.temperature else int(logits.argmax()))
        if said[-1] in ends(model, tokenizer):
            break
    text = str(tokenizer.decode(said, skip_special_tokens=True)).lstrip()
    return text.split("\n\n")[0].strip() if not tokenizer.chat_template else text.strip()


def drawn(logits: np.ndarray, rule: GenerationOptions, numbers: np.random.Generator) -> int:
    chances = np.exp((logits - logits.max()) / rule.temperature)
    chances /= chances.sum()
    order = np.argsort(-chances, kind="stable")
    kept: list[int] = []
    for token in order:
        if chances[kept].sum() >= rule.top_p:
            break
        kept.append(int(token))
    point, total = numbers.random() * chances[kept].sum(), 0.0
    for token in kept:
        total += chances[token]
        if point < total:
            return token
    return kept[-1]


@pytest.mark.parametrize("rule", [GenerationOptions(max_new_tokens=12), DRAWN])
@pytest.mark.parametrize("which", ["generator", "plain"])
def test_it_writes_what_a_plain_loop_writes(
    which: str, rule: GenerationOptions, request: pytest.FixtureRequest
) -> None:
    used: Generator = request.getfixturevalue(which)
    assert used.generate(ASKED, rule) == [by_hand(used, turns, rule) for turns in ASKED]


@pytest.mark.parametrize("shape", ["gpt2", "opt", "gemma2"])
def test_positions_survive_padding_on_the_left(shape: str, tmp_path: Path) -> None:
    used = Generator.load(save_shape(shape, tmp_path), LLMOptions(dtype="float32"))
    for rule in (GenerationOptions(max_new_tokens=6), replace(DRAWN, max_new_tokens=6)):
        assert used.generate(ASKED[2:], rule) == [by_hand(used, turns, rule) for turns in ASKED[2:]]


@pytest.mark.parametrize("shape", ["llama", "gpt2", "opt", "gemma2", "mistral"])
def test_a_shared_beginning_is_read_once_and_changes_nothing(shape: str, tmp_path: Path) -> None:
    used = Generator.load(save_shape(shape, tmp_path), LLMOptions(dtype="float32"))
    shown = [Turn("user", LINES[3]), Turn("assistant", LINES[4])]
    asked = [[*shown, *turns] for turns in ASKED[2:]]
    fed: list[int] = []
    layer = used.backbone.layers[0]
    layer.register_forward_pre_hook(
        lambda _, args, kwargs: fed.append((args or tuple(kwargs.values()))[0].shape[:2].numel()),
        with_kwargs=True,
    )
    for at, rule in enumerate(
        (GenerationOptions(max_new_tokens=6), replace(DRAWN, max_new_tokens=6))
    ):
        fed.clear()
        got = used.generate(asked, rule)
        rows = [len(prompt_ids(turns, used.backbone.tokenizer)) for turns in asked]
        start = shared_length([prompt_ids(turns, used.backbone.tokenizer) for turns in asked])
        own = len(rows) * (max(rows) - start)
        windowed = shape in ("gemma2", "mistral")  # padding inside of a row would take its place
        if windowed:
            assert fed[:2] == [len(rows) * max(rows), len(rows)]
        else:  # what they begin with is stored, and not read for the second answers
            assert fed[:2] == ([start, own] if at == 0 else [own, len(rows)])
        assert got == [by_hand(used, turns, rule) for turns in asked]


def test_what_rows_share_is_found_and_padded_after() -> None:
    assert [shared_length(rows) for rows in ([], [[1, 2]], [[1, 2], [1, 3]], [[1, 2], [1, 2]])] == [
        0,
        1,
        1,
        1,
    ]
    assert shared_length([[1, 2, 9, 4], [1, 2, 3], [1, 2, 9]]) == 2
    ids, mask = left_pad([[1, 2, 3], [1, 2, 4, 5]], 2)
    assert ids.tolist() == [[1, 2, 0, 3], [1, 2, 4, 5]]
    assert mask.tolist() == [[1, 1, 0, 1], [1, 1, 1, 1]]


def test_a_text_is_written_alike_alone_and_among_others(generator: Generator) -> None:
    together = generator.generate(ASKED, DRAWN)
    assert together == [generator.generate([turns], DRAWN)[0] for turns in ASKED]
    assert together == generator.generate(ASKED[::-1], DRAWN)[::-1]
    small = Generator(generator.backbone, token_budget=1)
    assert small.generate(ASKED, DRAWN) == together
    assert len(set(together)) == len(ASKED)
    assert generator.generate(ASKED, replace(DRAWN, seed=4)) != together
    assert generator.generate([], DRAWN) == []


def test_a_tiny_nucleus_is_greedy(generator: Generator) -> None:
    greedy = GenerationOptions(max_new_tokens=8)
    narrow = GenerationOptions(max_new_tokens=8, temperature=1.0, top_p=1e-9)
    assert generator.generate(ASKED, narrow) == generator.generate(ASKED, greedy)


def test_a_stop_string_ends_an_answer_and_is_no_part_of_it(generator: Generator) -> None:
    rule = GenerationOptions(max_new_tokens=16, temperature=0.5, seed=1)
    whole = generator.generate(ASKED, rule)
    middle = whole[0][len(whole[0]) // 2 :][:2]
    stopped = generator.generate(ASKED, replace(rule, stop=(middle,)))
    assert stopped == [text.split(middle)[0].strip() for text in whole]
    assert middle and len(stopped[0]) < len(whole[0])


def test_what_a_model_says_first_may_be_its_end(tmp_path: Path) -> None:
    """Every token but one is made impossible: the answer is empty, and is reported so."""
    backbone, _ = load_backbone(save_llama(tmp_path), LLMOptions(dtype="float32"))
    end = backbone.tokenizer.convert_tokens_to_ids("<|end|>")
    head = backbone.model.get_output_embeddings()
    with torch.no_grad():
        head.weight.zero_()
    head.register_forward_hook(lambda _, __, out: out.index_fill(-1, torch.tensor([end]), 9.0))
    assert Generator(backbone).generate(ASKED[:2], GenerationOptions()) == ["", ""]


def test_the_end_of_a_turn_ends_an_answer(generator: Generator) -> None:
    tokenizer = generator.backbone.tokenizer
    wanted = [tokenizer.convert_tokens_to_ids(token) for token in ("</s>", "<|end|>")]
    assert set(wanted) <= set(ends(generator.backbone.model, tokenizer))


def test_a_model_s_own_penalties_and_sampling_do_not_count(llama: Path) -> None:
    backbone, _ = load_backbone(llama, LLMOptions(dtype="float32"))
    rule = GenerationOptions(max_new_tokens=12)
    want = Generator(backbone).generate(ASKED, rule)
    config = backbone.model.generation_config
    config.repetition_penalty, config.do_sample, config.temperature = 5.0, True, 0.3
    assert Generator(backbone).generate(ASKED, rule) == want


def shown(generator: Generator, *turns: Turn) -> str:
    tokenizer = generator.backbone.tokenizer
    return str(tokenizer.decode(prompt_ids(turns, tokenizer)))


def test_turns_are_shown_through_the_template_or_as_a_transcript(
    generator: Generator, plain: Generator
) -> None:
    turns = (Turn("user", "A cat."), Turn("assistant", "One cat."), Turn("user", "A dog."))
    assert shown(generator, *turns) == (
        "<s><|user|>\nA cat.<|end|>\n<|assistant|>\nOne cat.<|end|>\n"
        "<|user|>\nA dog.<|end|>\n<|assistant|>\n"
    )
    assert shown(plain, *turns) == "<s>A cat.\nOne cat.\n\nA dog.\n"
    assert shown(plain, Turn("system", "Be brief."), turns[0]) == "<s>Be brief.\n\nA cat.\n"


@pytest.mark.parametrize("refusal", ["{{ raise_exception('no system') }}", ""])
def test_a_template_without_a_system_role_shows_it_to_the_user(llama: Path, refusal: str) -> None:
    backbone, _ = load_backbone(llama, LLMOptions())
    backbone.tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        + refusal
        + "{% else %}[{{ m['role'] }}]{{ m['content'] }}{% endif %}{% endfor %}"
    )
    got = shown(Generator(backbone), Turn("system", "Be brief."), Turn("user", "A cat."))
    assert got == "<s>[user]Be brief.\n\nA cat."


@pytest.mark.parametrize(
    "roles", [[], ["assistant"], ["system"], ["user", "assistant"], ["user", "user"]]
)
def test_turns_that_nobody_would_answer_are_refused(generator: Generator, roles: list[str]) -> None:
    turns = [Turn(role, "x") for role in roles]  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the user last; got"):
        generator.generate([turns], GenerationOptions())


def test_a_conversation_must_fit_with_its_answer(generator: Generator) -> None:
    with pytest.raises(ValueError, match=r"take \d+ tokens, the model's context has 512"):
        generator.generate([[Turn("user", "word " * 300)]], GenerationOptions(max_new_tokens=300))
    assert generator.truncate("a b", 100) == "a b"
    assert (
        generator.truncate("one two three", 3)
        == "one two three"[: len(generator.truncate("one two three", 3))]
    )


def test_impossible_rules_are_refused() -> None:
    for wrong in ({"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"stop": ("",)}):
        with pytest.raises(ValueError, match=r"writing needs|empty stop"):
            GenerationOptions(**wrong)


def test_facts_are_json_and_tell_models_apart(generator: Generator, plain: Generator) -> None:
    assert json.dumps(generator.facts) != json.dumps(plain.facts)
    assert json.dumps(generator.facts) == json.dumps(Generator(generator.backbone).facts)
