"""What decides the bundled model, besides the corpus: sizes, wording, and how long it learns."""

import json
from dataclasses import asdict, dataclass

from embedder.types import Role

TEMPLATES = {
    Role.QUERY: 'query : "{text}" in one word : "',
    Role.DOCUMENT: 'passage : "{text}" in one word : "',
}
"""The model's own prompt, which it is read with unless told otherwise."""


def _both(template: str) -> dict[Role, str]:
    return {Role.QUERY: template, Role.DOCUMENT: template}


PHRASINGS = {
    "tiny": TEMPLATES,
    "prompteol": _both('This sentence : "{text}" means in one word:"'),
    "summary": {
        Role.QUERY: "{text} Summary of the query in one word:",
        Role.DOCUMENT: "{text} Summary of the passage in one word:",
    },
    "key word": _both('The most important word of "{text}" is "'),
    "represent": {
        Role.QUERY: 'Use one word to represent the query "{text}". The word is: "',
        Role.DOCUMENT: 'Use one word to represent the passage "{text}". The word is: "',
    },
    "answer": {Role.QUERY: "Question: {text} Answer:", Role.DOCUMENT: "Answer: {text} Question:"},
    "about": _both("The text {text} is about"),
    "bare": _both("{text}:"),
}
"""What the model is trained to be read with; the first one, its own, half of the time.

They end in different tokens, so that the model is not bound to a quotation mark. Query and
passage are phrased independently of each other: a new query prompt needs no new index.
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the decoder.

    Attributes:
        vocabulary: tokens, four of them special.
        width: hidden units; four of them are reserved (see `decoder`).
        intermediate: units of each MLP.
        layers: decoder blocks; the last one pools.
        heads: attention heads of each block.
    """

    vocabulary: int = 16_000
    width: int = 512
    intermediate: int = 256
    layers: int = 2
    heads: int = 8

    def __post_init__(self) -> None:
        if min(asdict(self).values()) < 1 or self.width % (2 * self.heads):
            raise ValueError(f"sizes must be positive, width a multiple of 2 * heads; got {self}")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of learning.

    Attributes:
        steps: optimizer steps; the learning rate falls to 0 over them.
        batch: pairs per step, contrasted with each other.
        rate: Adam's learning rate of token tables.
        block_rate: the same of attention, MLP and norm weights.
        passage_tokens: tokens of a passage that are read.
        temperature: cosines are divided by it.
        word_weight: weight of naming a word of the query at the end of its passage's prompt.
        language_weight: weight of next-token prediction inside passages.
        together_weight: weight of what dense and sparse scores teach each of the two together.
    """

    steps: int
    batch: int
    rate: float
    block_rate: float = 0.0
    passage_tokens: int = 112
    temperature: float = 0.05
    word_weight: float = 0.0
    language_weight: float = 0.0
    together_weight: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 0 or self.batch < 2 or self.passage_tokens < 1 or self.temperature <= 0:
            raise ValueError(f"a stage needs steps, 2 pairs or more, tokens, warmth; got {self}")
        weights = self.word_weight, self.language_weight, self.together_weight
        if min(self.rate, self.block_rate, *weights) < 0:
            raise ValueError(f"rates and weights of a stage are at least 0; got {self}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the weights, given a corpus and a machine's arithmetic."""

    shape: Shape = Shape()
    bag: Stage = Stage(steps=600, batch=768, rate=4e-3, passage_tokens=144)
    decoder: Stage = Stage(
        steps=400,
        batch=128,
        rate=1e-4,
        block_rate=3e-4,
        passage_tokens=200,
        word_weight=0.05,
        language_weight=0.02,
        together_weight=1.0,
    )
    tokenizer_every: int = 3  # every n-th passage trains the tokenizer
    checkpoint_every: int = 250  # steps
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("tokenizer_every", 1), ("checkpoint_every", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be {least} or more; got {getattr(self, name)}")

    def deciding(self, stage: str) -> str:
        """Write what decides a stage's weights, so that a run resumes no other run's stage.

        Args:
            stage: "bag", which the decoder's settings do not touch, or "decoder".
        """
        facts = asdict(self)
        del facts["checkpoint_every"]
        if stage == "bag":
            del facts["decoder"]
        return json.dumps(facts, sort_keys=True)
