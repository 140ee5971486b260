"""Average a text's state with those of its rewritings (GenEOL).

Thirukovalluru & Dhingra, "GenEOL: Harnessing the Generative Power of LLMs for Training-Free
Sentence Embeddings", NAACL 2025.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedder.files.config_file import read_config
from embedder.files.content_hash import content_hash
from embedder.inputs.conversation import Turn
from embedder.models.generation import GenerationOptions

if TYPE_CHECKING:
    from embedder.models.generation import Generator

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
