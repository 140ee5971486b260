"""Open an encoder: a model with a prompt, and the writer beside it where the prompt wants one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.llm import LLMEncoder, own_prompt
from embedder.loading import LLMOptions, load_backbone
from embedder.prompt import Prompt

if TYPE_CHECKING:
    from embedder.variants import VariantEncoder


def open_encoder(
    model: str | Path,
    prompt: Prompt | None = None,
    options: LLMOptions | None = None,
    channels: Sequence[str] | None = None,
) -> "LLMEncoder | VariantEncoder":
    """Load a model by hub name or folder as the encoder that a prompt describes.

    Args:
        model: name, folder, or "bundled".
        prompt: None takes the model folder's own prompt.toml, else "promptreps".
        options: how to run it.
        channels: what is wanted of "dense" and "sparse"; None is all that the prompt reads.
    """
    chosen = prompt or own_prompt(model)
    if chosen.rewrite is None:
        return LLMEncoder.load(model, chosen, options, channels)
    from embedder.variants import VariantEncoder, Variants
    from embedder.writer import Writer

    rule = chosen.rewrite
    inner = LLMEncoder.load(model, replace(chosen, rewrite=None), options, channels)
    writer = Writer.load(rule.writer, options) if rule.writer else Writer(inner.backbone)
    rules = replace(
        Variants.load(),
        per_instruction=rule.per_instruction,
        shots=rule.shots,
        compose=rule.compose,
        seed=rule.seed,
        unit=rule.unit,
    )
    return VariantEncoder(inner, writer, rules)


def draw_examples(
    model: str | Path, prompt: Prompt, options: LLMOptions, texts: Iterable[str]
) -> Prompt:
    """Fill in a prompt that shows texts of the collection: draw them, and ask for their words."""
    from embedder.examples import sample, with_examples

    if prompt.sample is None:
        return prompt
    drawn = sample(texts, prompt.sample)
    backbone, resolved = load_backbone(model, options)
    return with_examples(prompt, drawn, backbone, resolved)
