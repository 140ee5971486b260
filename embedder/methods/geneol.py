"""Average a text's state with those of its rewritings (GenEOL).

Thirukovalluru & Dhingra, "GenEOL: Harnessing the Generative Power of LLMs for Training-Free
Sentence Embeddings", NAACL 2025.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from embedder.files.config_file import read_config
from embedder.inputs.conversation import Turn
from embedder.models.generation import GenerationOptions
from embedder.prompts.prompt import content_hash
from embedder.types import Representation, Role, fingerprint_of, list_texts

if TYPE_CHECKING:
    from embedder.models.generation import Generator
    from embedder.prompts.prompt import Prompt

BUNDLED = Path(__file__).with_suffix(".toml")
SLOT = "{text}"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One kind of rewriting.

    Attributes:
        name: what it is called in the file.
        ask: the user's turn, with {text} where the text stands.
        shown: demonstrations, (text, rewriting).
    """

    name: str
    ask: str
    shown: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.ask.count(SLOT) != 1:
            raise ValueError(f"instruction {self.name!r} must hold {SLOT} once; got {self.ask!r}")

    def turns(self, text: str, shown: Iterable[tuple[str, str]]) -> tuple[Turn, ...]:
        """Return the conversation in which the text is the last to be rewritten."""
        said = [turn for before, after in shown for turn in self._exchange(before, after)]
        return (*said, self._exchange(text, "")[0])

    def _exchange(self, text: str, rewritten: str) -> tuple[Turn, Turn]:
        return Turn("user", self.ask.replace(SLOT, text)), Turn("assistant", rewritten)


@dataclass(frozen=True, slots=True)
class RewritingPrompts:
    """Which rewritings of a text are written.

    Attributes:
        instructions: kinds of rewriting.
        summary: what the second pass asks of every variant.
        per_instruction: variants of each kind.
        shots: demonstrations in each conversation.
        compose: whether there is a second pass.
        seed: of the demonstrations that are drawn and of the answers.
        unit: whether states have unit length before they are averaged.
        max_text_tokens: tokens of a text that the writer sees.
        writing: how answers are written; its seed is replaced by one per variant.
    """

    instructions: tuple[Instruction, ...]
    summary: Instruction
    per_instruction: int = 2
    shots: int = 5
    compose: bool = False
    seed: int = 0
    unit: bool = False
    max_text_tokens: int = 256
    writing: GenerationOptions = field(default_factory=GenerationOptions)

    def __post_init__(self) -> None:
        if not self.instructions or self.per_instruction < 1 or self.max_text_tokens < 1:
            raise ValueError(
                "variants need an instruction, per_instruction >= 1 and max_text_tokens >= 1"
            )
        least = min(len(one.shown) for one in (*self.instructions, self.summary))
        if not 0 <= self.shots <= least:
            raise ValueError(f"shots must be 0 to {least}, the demonstrations; got {self.shots}")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or more; got {self.seed}")

    @staticmethod
    def load(path: Path = BUNDLED) -> "RewritingPrompts":
        """Read a file of instructions, demonstrations and numbers."""
        return _variants(read_config(path, _RewritingFile), str(path))

    @property
    def facts(self) -> dict[str, object]:
        """What changes a variant; wordings as a hash, those of an unused pass not at all."""
        facts: dict[str, object] = asdict(self)
        wordings = [facts.pop("instructions"), facts.pop("summary") if self.compose else None]
        facts.pop("summary", None)
        return facts | {"wordings": content_hash(wordings)}

    def draw(self, instruction: Instruction, turn: int) -> list[tuple[str, str]]:
        """Draw the demonstrations of an instruction's variant number `turn`.

        They are the same for all texts, so that conversations begin alike.
        """
        place = (*self.instructions, self.summary).index(instruction)
        stream = np.random.default_rng([self.seed, place, turn])
        drawn = stream.permutation(len(instruction.shown))[: self.shots]
        return [instruction.shown[i] for i in drawn]


def write_rewritings(
    texts: Sequence[str], rules: RewritingPrompts, writer: "Generator"
) -> list[list[str]]:
    """Write the variants of texts.

    Returns:
        (n, len(instructions) * per_instruction) strings; "" where the writer said nothing.
    """
    seen = [writer.cut(text, rules.max_text_tokens) for text in texts]
    columns = []
    for turn in range(rules.per_instruction):
        for instruction in rules.instructions:  # one call each, since they begin alike
            written = _answers(seen, instruction, turn, rules, writer)
            if rules.compose:
                written = _answers(written, rules.summary, turn, rules, writer)
            columns.append(written)
    return [list(row) for row in zip(*columns, strict=True)]


def _answers(
    texts: Sequence[str],
    instruction: Instruction,
    turn: int,
    rules: RewritingPrompts,
    writer: "Generator",
) -> list[str]:
    """Write variant number `turn` of every text; of "" it is ""."""
    shown = rules.draw(instruction, turn)
    asked = [text for text in texts if text]
    conversations = [instruction.turns(text, shown) for text in asked]
    answers = writer.write(conversations, replace(rules.writing, seed=rules.seed + turn))
    written = dict(zip(asked, answers, strict=True))
    return [written.get(text, "") for text in texts]


class StateEncoder(Protocol):
    """An encoder that gives the raw states behind its dense rows."""

    @property
    def fingerprint(self) -> str:
        """Canonical JSON object of everything that changes a state."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """Totals since creation."""
        ...

    def states(self, texts: Sequence[str], role: Role) -> NDArray[np.float32]:
        """Return (n, dim) float32 rows of any length."""
        ...


class RewritingEncoder:
    """An Encoder: the unit mean of the states of a text and of its variants.

    An empty variant is left out of the mean and counted. A blank text has no variants.
    """

    def __init__(
        self, inner: StateEncoder, writer: "Generator", rules: RewritingPrompts | None = None
    ) -> None:
        self.inner = inner
        self.writer = writer
        self.rules = rules or RewritingPrompts.load()
        self._counting = Lock()
        self._counts: Counter[str] = Counter(texts=0, variants=0, empty_variants=0)
        self._fingerprint = fingerprint_of(
            **json.loads(inner.fingerprint), variants=self.rules.facts | {"writer": writer.facts}
        )

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder inside, with writer and rules as one more fact."""
        return self._fingerprint

    @property
    def prompt(self) -> "Prompt | None":
        """The prompt of the encoder inside."""
        return getattr(self.inner, "prompt", None)

    @property
    def counts(self) -> Mapping[str, int]:
        """Counts of the encoder inside, over texts and variants, with three of its own.

        `texts` are those that were given, `variants` those that were written for them, and
        `empty_variants` those that the writer left empty.
        """
        return {**self.inner.counts, **self._counts}

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        """Encode texts in order; equal texts are rewritten once per call."""
        role, texts = Role(role), list_texts(texts)
        variants = self.variants(texts)
        with self._counting:
            self._counts["texts"] += len(texts)
        wanted = {one: None for text in texts for one in (text, *variants[text])}
        states = self.inner.states(list(wanted), role)
        if self.rules.unit:
            states = _unit(states)
        place = {text: row for row, text in enumerate(wanted)}
        rows = np.zeros((len(texts), states.shape[1]), dtype=np.float32)
        for at, text in enumerate(texts):
            rows[at] = states[[place[one] for one in (text, *variants[text])]].mean(axis=0)
        return Representation(_unit(rows), None, np.arange(len(texts), dtype=np.int64))

    def variants(self, texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Write the variants of texts, without empty ones, and count them."""
        distinct = dict.fromkeys(texts)
        asked = [text for text in distinct if text.strip()]
        written = dict(zip(asked, write_rewritings(asked, self.rules, self.writer), strict=True))
        kept = {text: tuple(filter(None, written.get(text, ()))) for text in distinct}
        total = sum(map(len, written.values()))
        with self._counting:
            self._counts["variants"] += sum(map(len, kept.values()))
            self._counts["empty_variants"] += total - sum(map(len, kept.values()))
        return kept


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float32] = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit


@dataclass(frozen=True, slots=True)
class _Summary:
    ask: str


@dataclass(frozen=True, slots=True)
class _RewritingFile:
    """Variants as they stand in a file."""

    instructions: dict[str, str]
    summary: _Summary
    demonstrations: tuple[dict[str, str], ...] = ()
    per_instruction: int = 2
    shots: int = 5
    compose: bool = False
    seed: int = 0
    unit: bool = False
    max_text_tokens: int = 256
    writing: GenerationOptions = field(default_factory=GenerationOptions)


def _variants(file: _RewritingFile, where: str) -> RewritingPrompts:
    names = ("text", "summary", *file.instructions)
    for number, one in enumerate(file.demonstrations, start=1):
        if missing := [name for name in names if name not in one]:
            raise ValueError(f"{where}: demonstrations (item {number}).{missing[0]} is missing")

    def instruction(name: str, ask: str) -> Instruction:
        shown = tuple((one["text"], one[name]) for one in file.demonstrations)
        return Instruction(name, ask.strip(), shown)

    numbers = {held.name: getattr(file, held.name) for held in fields(file)[3:]}
    try:
        return RewritingPrompts(
            tuple(instruction(name, ask) for name, ask in file.instructions.items()),
            instruction("summary", file.summary.ask),
            **numbers,
        )
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
