"""The one door to a reranker: by how a command names it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from embedder.arguments import check_options, check_text
from embedder.checkpoints.named_models import model_place
from embedder.checkpoints.trust import remember_models
from embedder.encoders.specs import full_place
from embedder.models.loading import LLMOptions
from embedder.rerank.relevance_prompt import DEFAULT, RelevancePrompt, load_relevance_prompt
from embedder.rerank.reranker import PairReranker
from embedder.types import Encoder

if TYPE_CHECKING:
    from embedder.models.backbone import Backbone

CROSS_ENCODER = "cross-encoder"
FORMS = "cross-encoder:NAME, prompt, prompt:FILE.toml or maxsim"


def load_reranker(
    rerank: str,
    model: str | Path | Encoder | Mapping[str, Encoder] | None = None,
    options: LLMOptions | None = None,
) -> PairReranker:
    """Load what scores a query and a text together.

    Args:
        rerank: "cross-encoder:NAME", one of sentence-transformers by hub name or folder, with
            "#LABEL" behind it where it has several labels; "prompt", a causal LM that is asked
            whether the text is relevant, or "prompt:NAME", by another relevance prompt of the
            library or a .toml file; or "maxsim", late interaction over the states of its tokens.
        model: for "prompt" and "maxsim": a causal LM by name or folder, or an encoder of one, or
            several by channel, whose weights are then shared. A cross-encoder needs none.
        options: how a model is run that is loaded here, and in which form, which a cross-encoder
            has one of; max_text_tokens also limits what "prompt" and "maxsim" read of a text. Of
            a model that is shared only that counts.

    Raises:
        TypeError: an argument is of another type.
        ValueError: there is no such reranker, prompt or model, or they do not go together.

    >>> reranker = lw.load_reranker("prompt", model="bundled")
    >>> reranker.score("green tea", ["tea", "lava"]).shape
    (2,)
    """
    check_text(rerank, "rerank")
    check_options(options, LLMOptions)
    prompt = read_rerank(rerank)
    kind, _, name = rerank.partition(":")
    if kind == CROSS_ENCODER:
        return _load_cross_encoder(name, options or LLMOptions())
    backbone, resolved = _backbone(rerank, model, options)
    if prompt is None:
        from embedder.rerank.maxsim import MaxSimReranker

        return MaxSimReranker(backbone, resolved)
    from embedder.rerank.prompted import PromptReranker

    return PromptReranker(backbone, prompt, resolved)


def read_rerank(rerank: str) -> RelevancePrompt | None:
    """Check how a reranker is named, before any model is loaded; return the prompt that it names.

    Raises:
        ValueError: there is no such reranker or prompt.
    """
    kind, _, name = rerank.partition(":")
    if kind == "prompt":
        return load_relevance_prompt(name or DEFAULT)
    if rerank != "maxsim" and not (kind == CROSS_ENCODER and name):
        raise ValueError(f"rerank takes {FORMS}; got {rerank!r}")
    return None


def _load_cross_encoder(name: str, options: LLMOptions) -> PairReranker:
    options.variant.check(f"{CROSS_ENCODER}:{name}", ())
    from embedder.rerank.cross_encoder import CrossEncoderReranker

    reranker = CrossEncoderReranker.load(name, options.device, options.trust_remote_code)
    remember_models([name.partition("#")[0]])
    return reranker


def _backbone(
    rerank: str,
    model: str | Path | Encoder | Mapping[str, Encoder] | None,
    options: LLMOptions | None,
) -> tuple["Backbone", LLMOptions]:
    """Load a language model, or take that of an encoder; with the options it runs by."""
    from embedder.encoders.prompted import language_model_of
    from embedder.models.loading import load_backbone

    if not isinstance(model, str | Path):
        encoders = list(model.values()) if isinstance(model, Mapping) else [model]
        found = [inner for each in encoders if each and (inner := language_model_of(each))]
        if not found:
            raise ValueError(
                f"{rerank} needs a language model, and none is here to be shared: give one by name "
                "or folder, --rerank-model (model of load_reranker in Python)"
            )
        inner = found[0]
        limit = (options or inner.options).max_text_tokens
        return inner.backbone, replace(inner.options, max_text_tokens=limit)
    name, options = full_place(model), options or LLMOptions()
    backbone, resolved = load_backbone(model_place(name), options)
    remember_models([name], options.variant.revision)
    return backbone, resolved
