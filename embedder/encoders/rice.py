"""Show a model texts of the collection with its own words for them, before it is asked (RICE).

"RICE", University of Waterloo, 2026: PromptReps' dense rows conditioned on random texts of the
corpus find more than without them, and hardly depend on how good the words are. The exact wording
of its prompt is not public; here every example is asked and answered as the text itself is.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from embedder.arguments import check_text
from embedder.models.loading import LLMOptions
from embedder.prompts.method_rules import Example, ExampleRules
from embedder.prompts.prompt import Prompt
from embedder.text.reservoir import Reservoir
from embedder.text.words import find_words
from embedder.types import Role

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone

WORD_TOKENS = 8  # a word that takes more is cut


def draw_examples(texts: Iterable[str], rule: ExampleRules) -> list[str]:
    """Draw texts from a stream of any length, each as likely, in the order of the stream.

    Texts without a word are not drawn.

    Raises:
        ValueError: the stream has fewer texts than the rule asks for.
    """
    reservoir = Reservoir(rule.count, random.Random(rule.seed))
    for at, text in enumerate(texts):
        check_text(text, f"text {at + 1} of the collection")
        reservoir.add(at, text)
    if reservoir.seen < rule.count:
        raise ValueError(
            f"the prompt shows {rule.count} texts of the collection, which has {reservoir.seen}; "
            "lower sample.count"
        )
    return [text for _, text in reservoir.drawn()]


def first_word(answer: str) -> str:
    """Return the first word of an answer; "" where it has none, which does no harm (RICE)."""
    return next(iter(find_words(answer)), "")


def show_examples(
    prompt: Prompt, texts: Sequence[str], backbone: "Backbone", options: LLMOptions
) -> Prompt:
    """Return the prompt with texts and the model's own words for them as its examples.

    Args:
        prompt: one that samples; its examples are replaced.
        texts: what is shown, each cut to `draw_examples.max_tokens` tokens.
        backbone: the model that will read; it is asked with the prompt itself, without examples.
        options: as for encoding.
    """
    from embedder.encoders.reader import PromptReader
    from embedder.models.greedy import greedy_answers

    rule = prompt.sample or ExampleRules()
    reader = PromptReader(backbone, replace(prompt, sample=None, examples=()))
    frame = reader.frames[Role.DOCUMENT][0]
    limit = min(rule.max_tokens, options.max_text_tokens)
    examples = []
    for row in frame.tokenize(texts, limit):
        ids = [row.ids[at] for stretch in row.text_spans[0] for at in stretch]
        (answer,) = greedy_answers(backbone, (), [row.ids], WORD_TOKENS)
        word = first_word(_decoded(backbone, answer.ids))
        examples.append(Example(_decoded(backbone, ids), word))
    return replace(prompt, examples=tuple(examples))


def _decoded(backbone: "Backbone", ids: Sequence[int]) -> str:
    return str(backbone.tokenizer.decode(list(ids), skip_special_tokens=True))
