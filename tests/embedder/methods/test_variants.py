"""Variants: what a writer is asked, and the mean of states by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.rewriting import RewritingEncoder
from embedder.inputs.conversation import Turn
from embedder.methods.geneol import (
    BUNDLED,
    Instruction,
    RewritingPrompts,
    write_rewritings,
)
from embedder.models.generation import GenerationOptions, Generator
from embedder.models.loading import LLMOptions
from embedder.types import Counted, Encoder, Role, fingerprint_differences, fingerprint_of
from tests.models import LINES, save_llama

SHOWN = (("A cat sat.", "A cat was sitting."), ("It rains.", "Rain falls."), ("Go!", "Leave!"))
RULES = RewritingPrompts(
    (Instruction("again", "Again: {text}", SHOWN), Instruction("short", "Short: {text}", SHOWN)),
    Instruction("summary", "Sum up: {text}", SHOWN),
    shots=2,
    max_text_tokens=40,
    writing=GenerationOptions(max_new_tokens=6, temperature=0.7),
)
TEXTS = [LINES[0], "", LINES[2], LINES[0]]


@pytest.fixture(scope="module")
def writer(llama: Path) -> Generator:
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
def test_a_row_is_the_unit_mean_of_the_text_and_its_variants(writer: Generator, unit: bool) -> None:
    rules = replace(RULES, unit=unit)
    encoder = RewritingEncoder(Letters(), writer, rules)
    got = encoder.encode(TEXTS, Role.QUERY)
    assert got.dense is not None and got.sparse is None and got.owner.tolist() == [0, 1, 2, 3]
    for row, text in zip(got.dense, TEXTS, strict=True):
        among = [text, *(one for one in write_rewritings([text], rules, writer)[0] if text and one)]
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

    def write(self, conversations: Sequence[Sequence[Turn]], rule: GenerationOptions) -> list[str]:
        self.asked += len(conversations)
        said = super().write(conversations, rule)
        return [
            "" if "lava" in turns[-1].text else f"{answer} said"
            for turns, answer in zip(conversations, said, strict=True)
        ]


def test_empty_variants_are_left_out_and_equal_texts_written_once(writer: Generator) -> None:
    used = Reticent(writer.backbone)
    encoder = RewritingEncoder(Letters(), used, RULES)
    got = encoder.encode(TEXTS, Role.DOCUMENT)
    assert used.asked == 8  # two texts that are not blank, two kinds, two of each
    own = np.array(letters(LINES[2])) / np.linalg.norm(letters(LINES[2]))
    assert got.dense is not None and np.abs(got.dense[2] - own).max() < 1e-6
    assert np.array_equal(got.dense[0], got.dense[3])
    counts = encoder.counts
    assert (counts["texts"], counts["variants"], counts["empty_variants"]) == (4, 4, 4)
    assert counts["tokens"] == encoder.inner.counts["tokens"] > 0


def test_variants_do_not_depend_on_the_other_texts(writer: Generator) -> None:
    together = write_rewritings(LINES, RULES, writer)
    assert together == [write_rewritings([line], RULES, writer)[0] for line in LINES]
    assert all(len(row) == 4 for row in together)
    assert write_rewritings(LINES, replace(RULES, seed=1), writer) != together
    assert write_rewritings([], RULES, writer) == []


def test_the_writer_is_asked_by_demonstration() -> None:
    (one, *_) = RULES.instructions
    turns = one.turns("A {text} in braces", [SHOWN[1]])
    assert [(turn.role, turn.text) for turn in turns] == [
        ("user", "Again: It rains."),
        ("assistant", "Rain falls."),
        ("user", "Again: A {text} in braces"),
    ]
    drawn = [RULES.draw(one, turn) for turn in range(20)]
    assert all(len(set(pairs)) == 2 and set(pairs) <= set(SHOWN) for pairs in drawn)
    assert drawn == [RULES.draw(one, turn) for turn in range(20)]
    assert len({tuple(pairs) for pairs in drawn}) > 1


class Echoing(Generator):
    """Answers with the question, so that what was asked can be read."""

    def write(self, conversations: Sequence[Sequence[Turn]], rule: GenerationOptions) -> list[str]:
        return [f"{turns[-1].text}/{rule.seed}/{len(turns)}" for turns in conversations]


def test_the_second_pass_sums_up_what_the_first_wrote(writer: Generator) -> None:
    rules = replace(RULES, compose=True, seed=7)
    (row,) = write_rewritings(["x"], rules, Echoing(writer.backbone))
    assert row == [
        "Sum up: Again: x/7/5/7/5",
        "Sum up: Short: x/7/5/7/5",
        "Sum up: Again: x/8/5/8/5",
        "Sum up: Short: x/8/5/8/5",
    ]


def test_a_long_text_is_cut_for_the_writer(writer: Generator) -> None:
    (row,) = write_rewritings(
        ["word " * 400], replace(RULES, max_text_tokens=6), Echoing(writer.backbone)
    )
    assert all(len(one) < 60 and "word" in one for one in row)


def test_the_fingerprint_holds_all_that_changes_a_row(writer: Generator, tmp_path: Path) -> None:
    def of(rules: RewritingPrompts, writer: Generator = writer) -> str:
        return RewritingEncoder(Letters(), writer, rules).fingerprint

    other = Generator.load(save_llama(tmp_path, seed=5), LLMOptions(dtype="float32"))
    changed = [
        *(of(replace(RULES, **{name: 1})) for name in ("seed", "per_instruction", "shots")),  # type: ignore[arg-type]
        of(replace(RULES, unit=True)),
        of(replace(RULES, compose=True)),
        of(replace(RULES, max_text_tokens=9)),
        of(replace(RULES, writing=GenerationOptions())),
        of(replace(RULES, instructions=RULES.instructions[:1])),
        of(RULES, other),
    ]
    assert len({of(RULES), *changed}) == len(changed) + 1
    assert of(RULES) == of(replace(RULES, summary=Instruction("summary", "{text}!", SHOWN)))
    assert json.loads(of(RULES))["kind"] == "letters"
    (line,) = fingerprint_differences(Letters().fingerprint, of(RULES))
    assert line.startswith("variants: index has None")


def test_the_bundled_file_has_the_paper_s_kinds_and_ten_demonstrations() -> None:
    rules = RewritingPrompts.load()
    names = [one.name for one in rules.instructions]
    assert names == ["paraphrase", "restructure", "entailment", "concise"]
    for one in (*rules.instructions, rules.summary):
        assert len(one.shown) == 10 and len(set(one.shown)) == 10
        assert all(before != after for before, after in one.shown)
        assert one.ask == one.ask.strip()
    spoken = {after for one in rules.instructions for _, after in one.shown}
    assert len(spoken) == 40


def test_a_model_writes_and_reads_with_the_bundled_rules(tmp_path: Path) -> None:
    folder = save_llama(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 4096}))
    inner = LLMEncoder.load(folder, options=LLMOptions(dtype="float32"))
    rules = replace(
        RewritingPrompts.load(), per_instruction=1, writing=GenerationOptions(max_new_tokens=4)
    )
    encoder = RewritingEncoder(inner, Generator(inner.backbone), rules)
    texts = ["A man is smoking.", "Meat from a deer."]
    got = encoder.encode(texts, Role.DOCUMENT)
    written = encoder.variants(texts)
    assert got.dense is not None
    for row, text in zip(got.dense, texts, strict=True):
        mean = inner.states([text, *written[text]], Role.DOCUMENT).mean(axis=0)
        assert np.abs(row - mean / np.linalg.norm(mean)).max() < 1e-4


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ('concise = "Wind', 'terse = "Wind', r"demonstrations \(item 1\)\.concise is missing"),
        ("shots = 5", "shots = 11", "shots must be 0 to 10"),
        ("shots = 5", "shoots = 5", "shoots"),
        ("Text: {text}\nSummary:", "Summary:", "must hold {text} once"),
        ("seed = 0", "seed = -1", "seed must be 0 or more"),
        ("seed = 0", "seed = ", "invalid value"),
        ("per_instruction = 2", "per_instruction = 0", "per_instruction >= 1"),
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
