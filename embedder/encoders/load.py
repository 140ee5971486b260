"""Open an encoder: a model with a prompt, its examples drawn, its generator beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.encoders.llm import LLMEncoder, own_prompt
from embedder.encoders.rice import draw_examples, show_examples
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.prompt import Prompt

if TYPE_CHECKING:
    from embedder.encoders.adapted import AdaptedEncoder
    from embedder.encoders.rewriting import RewritingEncoder


def open_encoder(
    model: str | Path,
    prompt: Prompt | None = None,
    options: LLMOptions | None = None,
    channels: Sequence[str] | None = None,
    texts: Iterable[str] | None = None,
) -> "LLMEncoder | RewritingEncoder | AdaptedEncoder":
    """Load a model by hub name or folder as the encoder that a prompt describes.

    Args:
        model: name, folder, or "bundled".
        prompt: None takes the model folder's own prompt.toml, else "promptreps".
        options: how to run it.
        channels: what is wanted of "dense" and "sparse"; None is all that the prompt reads.
        texts: the collection that a prompt with a sample draws its examples from; read only then.
    """
    chosen = prompt or own_prompt(model)
    backbone, resolved = load_backbone(model, options or LLMOptions())
    if chosen.sample is not None and not chosen.examples and texts is not None:
        drawn = draw_examples(texts, chosen.sample)
        chosen = show_examples(chosen, drawn, backbone, resolved)
    plain = replace(chosen, rewrite=None)
    if channels is not None:
        plain = plain.reading_only(dense="dense" in channels, sparse="sparse" in channels)
    if plain.adapt:
        from embedder.encoders.adapted import encoder_of

        return encoder_of(backbone, plain, resolved)
    encoder = LLMEncoder(backbone, plain, resolved)
    if chosen.rewrite is None:
        return encoder
    from embedder.encoders.rewriting import RewritingEncoder
    from embedder.methods.geneol import Rewriter
    from embedder.models.generation import Generator

    rules = chosen.rewrite
    generator = Generator.load(rules.writer, options) if rules.writer else Generator(backbone)
    return RewritingEncoder(encoder, Rewriter(generator, rules))
