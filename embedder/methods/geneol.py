"""GenEOL: rewritings of a text that keep its meaning; its state is averaged with theirs.

Thirukovalluru & Dhingra, "GenEOL: Harnessing the Generative Power of LLMs for Training-Free
Sentence Embeddings", NAACL 2025.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from embedder.files.config_file import read_config
from embedder.files.content_hash import content_hash
from embedder.inputs.conversation import Turn
from embedder.models.generation import GenerationOptions, Generator
from embedder.prompts.method_rules import RewritingRules

BUNDLED = Path(__file__).with_suffix(".toml")
SLOT = "{text}"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One kind of rewriting.

    Attributes:
        name: of this kind in the file.
        ask: the user's turn, with {text} where the text stands.
        demonstrations: pairs of a text and its rewriting.
    """

    name: str
    ask: str
    demonstrations: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.ask.count(SLOT) != 1:
            raise ValueError(f"instruction {self.name!r} must hold {SLOT} once; got {self.ask!r}")

    @property
    def facts(self) -> dict[str, object]:
        """What changes a rewriting, for a fingerprint."""
        return {"name": self.name, "ask": self.ask, "shown": self.demonstrations}

    def turns(self, text: str, demonstrations: Iterable[tuple[str, str]]) -> tuple[Turn, ...]:
        """Return the conversation in which the text is the last to be rewritten."""
        turns = []
        for before, after in (*demonstrations, (text, "")):
            turns += [Turn("user", self.ask.replace(SLOT, before)), Turn("assistant", after)]
        return tuple(turns[:-1])


@dataclass(frozen=True, slots=True)
class RewritingPrompts:
    """How a model is asked for rewritings; how many, and by which seed, say `RewritingRules`.

    Attributes:
        instructions: kinds of rewriting.
        summary: what the second pass asks of every rewriting.
        max_text_tokens: tokens of a text that the generator reads.
        writing: how answers are generated; the seed is replaced by one for each rewriting.
    """

    instructions: tuple[Instruction, ...]
    summary: Instruction
    max_text_tokens: int = 256
    writing: GenerationOptions = field(default_factory=GenerationOptions)

    def __post_init__(self) -> None:
        if not self.instructions or self.max_text_tokens < 1:
            raise ValueError("rewritings need an instruction and max_text_tokens >= 1")

    @staticmethod
    def load(path: Path = BUNDLED) -> "RewritingPrompts":
        """Read a file of instructions and demonstrations."""
        return _prompts(read_config(path, _RewritingFile), str(path))


@dataclass(frozen=True, slots=True)
class Rewriter:
    """A generator with the rules and the wordings by which it rewrites texts.

    Attributes:
        generator: the model that answers.
        rules: how many rewritings, with how many demonstrations, by which seed.
        prompts: the instructions.
    """

    generator: Generator
    rules: RewritingRules = field(default_factory=RewritingRules)
    prompts: RewritingPrompts = field(default_factory=RewritingPrompts.load)

    def __post_init__(self) -> None:
        kinds = (*self.prompts.instructions, self.prompts.summary)
        least = min(len(kind.demonstrations) for kind in kinds)
        if self.rules.shots > least:
            raise ValueError(
                f"shots must be 0 to {least}, the demonstrations; got {self.rules.shots}"
            )

    @property
    def facts(self) -> dict[str, object]:
        """What changes a rewriting; wordings as a hash, those of an unused pass not at all."""
        instructions = [kind.facts for kind in self.prompts.instructions]
        summary = self.prompts.summary.facts if self.rules.compose else None
        return asdict(self.rules) | {
            "writer": self.generator.facts,  # in place of a name or a folder
            "max_text_tokens": self.prompts.max_text_tokens,
            "writing": asdict(self.prompts.writing),
            "wordings": content_hash([instructions, summary]),
        }

    def draw_demonstrations(self, instruction: Instruction, turn: int) -> list[tuple[str, str]]:
        """Draw the demonstrations of an instruction's rewriting number `turn`.

        They are the same for all texts, so that conversations begin alike.
        """
        place = (*self.prompts.instructions, self.prompts.summary).index(instruction)
        stream = np.random.default_rng([self.rules.seed, place, turn])
        order = stream.permutation(len(instruction.demonstrations))[: self.rules.shots]
        return [instruction.demonstrations[i] for i in order]

    def rewrite(self, texts: Sequence[str]) -> list[list[str]]:
        """Write the rewritings of texts.

        Returns:
            (n, len(instructions) * per_instruction) strings; "" where the model said nothing.
        """
        shortened = [self.generator.truncate(text, self.prompts.max_text_tokens) for text in texts]
        columns = []
        for turn in range(self.rules.per_instruction):
            for instruction in self.prompts.instructions:  # one call each: they begin alike
                answers = self._answers(shortened, instruction, turn)
                if self.rules.compose:
                    answers = self._answers(answers, self.prompts.summary, turn)
                columns.append(answers)
        return [list(row) for row in zip(*columns, strict=True)]

    def _answers(self, texts: Sequence[str], instruction: Instruction, turn: int) -> list[str]:
        """Write rewriting number `turn` of every text; of "" it is ""."""
        demonstrations = self.draw_demonstrations(instruction, turn)
        filled = [text for text in texts if text]
        conversations = [instruction.turns(text, demonstrations) for text in filled]
        options = replace(self.prompts.writing, seed=self.rules.seed + turn)
        answers = dict(zip(filled, self.generator.generate(conversations, options), strict=True))
        return [answers.get(text, "") for text in texts]


@dataclass(frozen=True, slots=True)
class _Summary:
    ask: str


@dataclass(frozen=True, slots=True)
class _RewritingFile:
    instructions: dict[str, str]
    summary: _Summary
    demonstrations: tuple[dict[str, str], ...] = ()
    max_text_tokens: int = 256
    writing: GenerationOptions = field(default_factory=GenerationOptions)


def _prompts(file: _RewritingFile, place: str) -> RewritingPrompts:
    names = ("text", "summary", *file.instructions)
    for number, item in enumerate(file.demonstrations, start=1):
        if missing := [name for name in names if name not in item]:
            raise ValueError(f"{place}: demonstrations (item {number}).{missing[0]} is missing")

    def instruction(name: str, ask: str) -> Instruction:
        pairs = tuple((item["text"], item[name]) for item in file.demonstrations)
        return Instruction(name, ask.strip(), pairs)

    try:
        return RewritingPrompts(
            tuple(instruction(name, ask) for name, ask in file.instructions.items()),
            instruction("summary", file.summary.ask),
            file.max_text_tokens,
            file.writing,
        )
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
