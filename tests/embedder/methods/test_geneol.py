"""Variants: what a writer is asked, and the mean of states by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.encoders.rewriting import RewritingEncoder
from embedder.inputs.conversation import Turn
from embedder.methods.geneol import (
    BUNDLED,
    Instruction,
    Rewriter,
    RewritingPrompts,
)
from embedder.models.generation import GenerationOptions, Generator
from embedder.models.loading import LLMOptions
from embedder.prompts.method_rules import RewritingRules
from embedder.types import Counted, Encoder, Role, fingerprint_differences, fingerprint_of
from tests.models import LINES, load_llm, save_llama

SHOWN = (("A cat sat.", "A cat was sitting."), ("It rains.", "Rain falls."), ("Go!", "Leave!"))
RULES = RewritingRules(shots=2)
PROMPTS = RewritingPrompts(
    (Instruction("again", "Again: {text}", SHOWN), Instruction("short", "Short: {text}", SHOWN)),
    Instruction("summary", "Sum up: {text}", SHOWN),
    max_text_tokens=40,
    writing=GenerationOptions(max_new_tokens=6, temperature=0.7),
)
TEXTS = [LINES[0], "", LINES[2], LINES[0]]


@pytest.fixture(scope="module")
def generator(llama: Path) -> Generator:
    return Generator.load(llama, LLMOptions(dtype="float32"))


class Letters:
    """Real small states: how many a's, e's and characters a text has."""

    def __init__(self) -> None:
        self.fingerprint = fingerprint_of(kind="letters")
        self.counts = {"texts": 0, "tokens": 0}

    def states(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        assert len(set(texts)) == len(texts)
        self.counts["texts"] += len(texts)
        self.counts["tokens"] += sum(map(len, texts))
        return np.array([letters(text) for text in texts], dtype=np.float32).reshape(-1, 3)


def letters(text: str) -> list[int]:
    return [text.count("a") + 1, text.count("e"), len(text)]


@pytest.mark.parametrize("unit", [False, True])
def test_a_row_is_the_unit_mean_of_the_text_and_its_variants(
    generator: Generator, unit: bool
) -> None:
    rules = replace(RULES, unit=unit)
    rewriter = Rewriter(generator, rules, PROMPTS)
    encoder = RewritingEncoder(Letters(), rewriter)
    got = encoder.encode(TEXTS, Role.QUERY)
    assert got.dense is not None and got.sparse is None and got.owner.tolist() == [0, 1, 2, 3]
    for row, text in zip(got.dense, TEXTS, strict=True):
        among = [text, *(one for one in rewriter.rewrite([text])[0] if text and one)]
        states = np.array([letters(one) for one in among], dtype=np.float64)
        if unit:
            states /= np.linalg.norm(states, axis=1, keepdims=True)
        mean = states.mean(axis=0)
        assert np.abs(row - mean / np.linalg.norm(mean)).max() < 1e-6
    assert isinstance(encoder, Encoder) and isinstance(encoder, Counted)
    none = encoder.encode([], Role.QUERY)
    assert none.dense is not None and none.dense.shape == (0, 3)


class Reticent(Generator):
    """A real writer that keeps to itself what it would say about rain, and counts questions."""

    asked = 0

    def generate(
        self, conversations: Sequence[Sequence[Turn]], options: GenerationOptions
    ) -> list[str]:
        self.asked += len(conversations)
        said = super().generate(conversations, options)
        return [
            "" if "lava" in turns[-1].text else f"{answer} said"
            for turns, answer in zip(conversations, said, strict=True)
        ]


def test_empty_variants_are_left_out_and_equal_texts_written_once(generator: Generator) -> None:
    used = Reticent(generator.backbone)
    encoder = RewritingEncoder(Letters(), Rewriter(used, RULES, PROMPTS))
    got = encoder.encode(TEXTS, Role.DOCUMENT)
    assert used.asked == 8  # two texts that are not blank, two kinds, two of each
    own = np.array(letters(LINES[2])) / np.linalg.norm(letters(LINES[2]))
    assert got.dense is not None and np.abs(got.dense[2] - own).max() < 1e-6
    assert np.array_equal(got.dense[0], got.dense[3])
    counts = encoder.counts
    assert (counts["texts"], counts["variants"], counts["empty_variants"]) == (4, 4, 4)
    assert counts["tokens"] == encoder.inner.counts["tokens"] > 0


def test_variants_do_not_depend_on_the_other_texts(generator: Generator) -> None:
    rewriter = Rewriter(generator, RULES, PROMPTS)
    together = rewriter.rewrite(LINES)
    assert together == [rewriter.rewrite([line])[0] for line in LINES]
    assert all(len(row) == 4 for row in together)
    assert Rewriter(generator, replace(RULES, seed=1), PROMPTS).rewrite(LINES) != together
    assert rewriter.rewrite([]) == []


def test_the_generator_is_asked_by_demonstration(generator: Generator) -> None:
    rewriter = Rewriter(generator, RULES, PROMPTS)
    (one, *_) = PROMPTS.instructions
    turns = one.turns("A {text} in braces", [SHOWN[1]])
    assert [(turn.role, turn.text) for turn in turns] == [
        ("user", "Again: It rains."),
        ("assistant", "Rain falls."),
        ("user", "Again: A {text} in braces"),
    ]
    drawn = [rewriter.draw_demonstrations(one, turn) for turn in range(20)]
    assert all(len(set(pairs)) == 2 and set(pairs) <= set(SHOWN) for pairs in drawn)
    assert drawn == [rewriter.draw_demonstrations(one, turn) for turn in range(20)]
    assert len({tuple(pairs) for pairs in drawn}) > 1


class Echoing(Generator):
    """Answers with the question, so that what was asked can be read."""

    def generate(
        self, conversations: Sequence[Sequence[Turn]], options: GenerationOptions
    ) -> list[str]:
        return [f"{turns[-1].text}/{options.seed}/{len(turns)}" for turns in conversations]


def test_the_second_pass_sums_up_what_the_first_wrote(generator: Generator) -> None:
    rules = replace(RULES, compose=True, seed=7)
    (row,) = Rewriter(Echoing(generator.backbone), rules, PROMPTS).rewrite(["x"])
    assert row == [
        "Sum up: Again: x/7/5/7/5",
        "Sum up: Short: x/7/5/7/5",
        "Sum up: Again: x/8/5/8/5",
        "Sum up: Short: x/8/5/8/5",
    ]


def test_a_long_text_is_cut_for_the_writer(generator: Generator) -> None:
    prompts = replace(PROMPTS, max_text_tokens=6)
    (row,) = Rewriter(Echoing(generator.backbone), RULES, prompts).rewrite(["word " * 400])
    assert all(len(one) < 60 and "word" in one for one in row)


def test_the_fingerprint_holds_all_that_changes_a_row(generator: Generator, tmp_path: Path) -> None:
    def of(
        rules: RewritingRules = RULES,
        prompts: RewritingPrompts = PROMPTS,
        by: Generator = generator,
    ) -> str:
        return RewritingEncoder(Letters(), Rewriter(by, rules, prompts)).fingerprint

    other = Generator.load(save_llama(tmp_path, seed=5), LLMOptions(dtype="float32"))
    changed = [
        *(of(replace(RULES, **{name: 1})) for name in ("seed", "per_instruction", "shots")),  # type: ignore[arg-type]
        of(replace(RULES, unit=True)),
        of(replace(RULES, compose=True)),
        of(prompts=replace(PROMPTS, max_text_tokens=9)),
        of(prompts=replace(PROMPTS, writing=GenerationOptions())),
        of(prompts=replace(PROMPTS, instructions=PROMPTS.instructions[:1])),
        of(by=other),
    ]
    assert len({of(), *changed}) == len(changed) + 1
    unused = Instruction("summary", "{text}!", SHOWN)
    assert of() == of(prompts=replace(PROMPTS, summary=unused))
    assert of() == of(replace(RULES, writer="a name that says nothing of the weights"))
    assert json.loads(of())["kind"] == "letters"
    (line,) = fingerprint_differences(Letters().fingerprint, of())
    assert line.startswith("variants: index has None")


def test_the_bundled_file_has_the_paper_s_kinds_and_ten_demonstrations() -> None:
    prompts = RewritingPrompts.load()
    names = [one.name for one in prompts.instructions]
    assert names == ["paraphrase", "restructure", "entailment", "concise"]
    for one in (*prompts.instructions, prompts.summary):
        assert len(one.demonstrations) == 10 and len(set(one.demonstrations)) == 10
        assert all(before != after for before, after in one.demonstrations)
        assert one.ask == one.ask.strip()
    spoken = {after for one in prompts.instructions for _, after in one.demonstrations}
    assert len(spoken) == 40


def test_a_model_writes_and_reads_with_the_bundled_rules(tmp_path: Path) -> None:
    folder = save_llama(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    inner = load_llm(folder, options=LLMOptions(dtype="float32"))
    prompts = replace(RewritingPrompts.load(), writing=GenerationOptions(max_new_tokens=4))
    rewriter = Rewriter(Generator(inner.backbone), RewritingRules(per_instruction=1), prompts)
    encoder = RewritingEncoder(inner, rewriter)
    texts = ["A man is smoking.", "Meat from a deer."]
    got = encoder.encode(texts, Role.DOCUMENT)
    written = encoder.rewrite(texts)
    assert got.dense is not None
    for row, text in zip(got.dense, texts, strict=True):
        mean = inner.states([text, *written[text]], Role.DOCUMENT).mean(axis=0)
        assert np.abs(row - mean / np.linalg.norm(mean)).max() < 1e-4


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('concise = "Wind', 'terse = "Wind', r"demonstrations \(item 1\)\.concise is missing"),
        ("max_text_tokens", "most_text_tokens", "most_text_tokens"),
        ("Text: {text}\nSummary:", "Summary:", "must hold {text} once"),
        ("max_text_tokens = 256", "max_text_tokens = ", "invalid value"),
        ("max_text_tokens = 256", "max_text_tokens = 0", "max_text_tokens >= 1"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault(
    tmp_path: Path, before: str, after: str, complaint: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BUNDLED.read_text(encoding="utf-8").replace(before, after, 1))
    with pytest.raises(ValueError, match=complaint) as caught:
        RewritingPrompts.load(path)
    assert str(path) in str(caught.value)


def test_more_demonstrations_than_there_are_is_refused(generator: Generator) -> None:
    with pytest.raises(ValueError, match="shots must be 0 to 3, the demonstrations; got 4"):
        Rewriter(generator, RewritingRules(shots=4), PROMPTS)
