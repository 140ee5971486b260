"""Encoders of a language model under a prompt: read as it is, adapted, or rewriting texts."""

from collections.abc import Iterable
from dataclasses import replace

from embedder.checkpoints.variant import DEFAULT_VARIANT
from embedder.encoders.adapted import AdaptedEncoder, encoder_of
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.rewriting import RewritingEncoder
from embedder.encoders.rice import draw_examples, show_examples
from embedder.encoders.sbert import SbertEncoder
from embedder.encoders.specs import LLMSpec, spec_of
from embedder.methods.geneol import Rewriter
from embedder.models.backbone import Backbone
from embedder.models.generation import Generator
from embedder.models.loading import LLMOptions, load_backbone
from embedder.remote.encoder import RemoteEncoder
from embedder.types import Encoder, inner_encoder

PromptedEncoder = LLMEncoder | AdaptedEncoder | RewritingEncoder


def load_prompted(
    spec: LLMSpec, place: str, options: LLMOptions, texts: Iterable[str] | None = None
) -> PromptedEncoder:
    """Load the model of a spec, and the one that rewrites texts where the prompt names another.

    Args:
        spec: model and prompt; "auto" is resolved in the spec that the encoder gets.
        place: of the spec's model, by `model_place`.
        options: where and how the model runs; dtype and max_text_tokens are the spec's.
        texts: the collection that a prompt with a sample draws its examples from; read only then.
    """
    options = replace(options, dtype=spec.dtype, max_text_tokens=spec.max_text_tokens)
    backbone, resolved = load_backbone(place, options)
    prompt = spec.prompt
    if prompt.sample is not None and not prompt.examples and texts is not None:
        drawn = draw_examples(texts, prompt.sample)
        spec = replace(spec, prompt=show_examples(prompt, drawn, backbone, resolved))
    generator = None
    if prompt.rewrite is not None:
        writer = prompt.rewrite.writer
        plain = replace(options, variant=DEFAULT_VARIANT)  # of another model
        generator = Generator.load(writer, plain) if writer else Generator(backbone)
    return _bind(spec, backbone, resolved, generator)


def with_task(encoder: Encoder, task: str, reads: tuple[str, ...] | None = None) -> Encoder:
    """Return the encoder of the same prompt with another task, on the models that are loaded.

    Args:
        encoder: of `load_encoder`.
        task: what stands for {task}; "" leaves the prompt's.
        reads: some of the channels of a language model; None leaves them.
    """
    spec = spec_of(encoder)
    if isinstance(spec, LLMSpec):
        prompt = replace(spec.prompt, task=task or spec.prompt.task)
        spec = replace(spec, prompt=prompt, reads=reads or spec.reads)
        generator = encoder.rewriter.generator if isinstance(encoder, RewritingEncoder) else None
        inner = language_model_of(encoder)
        assert inner is not None, encoder  # a spec of a language model is of one
        return _bind(spec, inner.backbone, inner.options, generator)
    if isinstance(encoder, SbertEncoder | RemoteEncoder) and encoder.prompt is not None and task:
        return encoder.with_prompt(replace(encoder.prompt, task=task))
    return encoder


def language_model_of(encoder: Encoder) -> LLMEncoder | None:
    """Return what reads texts within an encoder, None where no language model does."""
    inner = inner_encoder(encoder)
    inner = getattr(inner, "full", inner)  # of a light one
    return inner if isinstance(inner, LLMEncoder) else None


def _bind(
    spec: LLMSpec, backbone: Backbone, options: LLMOptions, generator: Generator | None
) -> PromptedEncoder:
    """Return the encoder of a spec on loaded models, with the spec in which all is resolved."""
    rules = spec.prompt.rewrite
    dense, sparse = "dense" in spec.reads, "sparse" in spec.reads
    prompt = replace(spec.prompt, rewrite=None).reading_only(dense=dense, sparse=sparse)
    inner = encoder_of(backbone, prompt, options)
    used = inner.options
    spec = replace(spec, dtype=used.dtype, max_text_tokens=used.max_text_tokens)
    inner.spec = spec
    if rules is None:
        return inner
    assert generator is not None, spec  # which whoever loads a prompt that rewrites brings
    assert isinstance(inner, LLMEncoder), spec  # no prompt both rewrites and adapts
    encoder = RewritingEncoder(inner, Rewriter(generator, rules))
    encoder.spec = spec
    return encoder
