"""The one door to an encoder: by the name of a model and a prompt, or again from its spec."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from embedder.arguments import check_names, check_options, check_path
from embedder.checkpoints.addresses import is_remote
from embedder.checkpoints.bundled import BUNDLED_MODEL, BUNDLED_NAME
from embedder.checkpoints.named_models import PACKAGED_MODELS, model_place
from embedder.checkpoints.trust import remember_models
from embedder.encoders.specs import (
    BM25Spec,
    EncoderSpec,
    LLMSpec,
    RemoteSpec,
    SbertSpec,
    full_place,
    models_of,
    with_full_paths,
)
from embedder.lucene.spec import LuceneSpec
from embedder.models.loading import LLMOptions
from embedder.prompts.files import load_prompt
from embedder.prompts.prompt import Prompt
from embedder.text.languages import language_name
from embedder.text_encoder import TextEncoder

SBERT = "sbert:"
BM25 = "bm25"
LUCENE = "lucene"


def load_encoder(
    model: str | Path,
    prompt: Prompt | str | Path | None = None,
    options: LLMOptions | None = None,
    channels: Sequence[str] | None = None,
    texts: Iterable[str] | None = None,
) -> TextEncoder:
    """Load the encoder of a model with a prompt; it knows its `spec`, which an index keeps.

    Args:
        model: a causal LM by hub name or folder, or "bundled"; "sbert:NAME", a
            sentence-transformers model; "tei:URL" or "openai:MODEL@URL", a model that a server
            has; "bm25" or "bm25:LANGUAGE", perhaps several, "bm25:de,en" (see `BM25Encoder`);
            "lucene" or "lucene:LANGUAGE", Anserini's analysis. A language is a name or an ISO
            code.
        prompt: a value, a library name or a .toml file. None takes the model folder's own
            prompt.toml, else "promptreps"; for a sentence-transformers model, its own prompts;
            for a server's, none.
        options: how a model is run; of a sentence-transformers model the device, the trust, the
            token budget and the variant count, of a server's the variant only.
        channels: some of "dense" and "sparse"; the other is not computed. None is all that the
            prompt reads.
        texts: the collection that a prompt with a sample draws its examples from; read only then.

    A prompt's [post] is not applied to the rows that the encoder returns: it is fitted to a
    collection, and `lw.build` and `lw.open` apply it within an index.

    Raises:
        TypeError: an argument is of another type.
        ValueError: no such model can be loaded, or the arguments do not go together.
        ConnectionError: a server does not answer.

    >>> encoder = lw.load_encoder("bundled", prompt="prompteol")
    >>> encoder.encode_query(["green tea", "black rock"]).shape
    (2, 512)
    """
    check_path(model, "model", "a name or a folder")
    check_options(options, LLMOptions)
    check_names(channels, "channels")
    if texts is not None and (isinstance(texts, str) or not isinstance(texts, Iterable)):
        raise TypeError(f"texts must be several texts; got {type(texts).__name__}")
    name, options = str(model), options or LLMOptions()
    if prompt is not None and not isinstance(prompt, Prompt):
        prompt = load_prompt(prompt)
    if name == BM25 or name.startswith(f"{BM25}:"):
        from embedder.encoders.bm25 import BM25Encoder

        _refuse_prompt(name, prompt)
        options.variant.check(BM25, ())
        return BM25Encoder(name[len(BM25) + 1 :] or "english")
    spec: EncoderSpec
    if name == LUCENE or name.startswith(f"{LUCENE}:"):
        _refuse_prompt(name, prompt)
        options.variant.check(LUCENE, ())
        spec = LuceneSpec(language_name(name[len(LUCENE) + 1 :] or "english"))
    elif is_remote(name):
        spec = RemoteSpec(name, prompt, variant=options.variant)
    elif name.startswith(SBERT):
        own = prompt and with_full_paths(prompt)
        spec = SbertSpec(full_place(name.removeprefix(SBERT)), own, variant=options.variant)
    else:
        chosen = with_full_paths(prompt or own_prompt(name))
        reads = _channels(chosen, channels)
        place = full_place(name)
        spec = LLMSpec(
            place,
            chosen,
            reads,
            options.dtype,
            options.max_text_tokens,
            variant=options.variant,
        )
    encoder = load_from_spec(spec, options, texts)
    names = models_of(spec)
    remember_models(names[:1], options.variant.revision)
    remember_models(names[1:])  # whoever rewrites texts
    return encoder


def load_from_spec(
    spec: EncoderSpec, options: LLMOptions | None = None, texts: Iterable[str] | None = None
) -> TextEncoder:
    """Load the encoder that a spec describes, whoever wrote it: see `retrieval.open` for trust.

    Args:
        spec: of `spec_of`, or read from an index.
        options: where and how a model runs; dtype, max_text_tokens and variant are the spec's.
        texts: as for `load_encoder`.
    """
    options = options or LLMOptions()
    if isinstance(spec, BM25Spec):
        from embedder.encoders.bm25 import BM25Encoder

        return BM25Encoder(
            spec.language, spec.stop_words, spec.analysis, spec.fields, spec.language_field
        )
    if isinstance(spec, LuceneSpec):
        from embedder.lucene.analysis import LuceneEncoder

        return LuceneEncoder(spec.language)
    if isinstance(spec, RemoteSpec):
        from embedder.remote.encoder import RemoteEncoder

        remote = RemoteEncoder.load(spec.model, spec.prompt, spec.variant)
        remote.spec = spec
        return remote
    options = replace(options, variant=spec.variant)
    if isinstance(spec, SbertSpec):
        from embedder.encoders.sbert import SbertEncoder

        return SbertEncoder.load(spec.model, options, spec.prompt)
    place = model_place(spec.model)  # before slow imports: what takes long is told at once

    from embedder.encoders.prompted import load_prompted

    return load_prompted(spec, place, options, texts)


def _refuse_prompt(name: str, prompt: Prompt | None) -> None:
    if prompt is not None:
        raise ValueError(f"{name} reads texts without a prompt; leave out prompt")


def own_prompt(model: str | Path) -> Prompt:
    """Return the prompt.toml beside a model's weights, or that of its name, else "promptreps".

    A model that was trained with a prompt works with that one only, so it carries it along.
    """
    if model in PACKAGED_MODELS:
        return load_prompt(PACKAGED_MODELS[str(model)].prompt)
    own = (BUNDLED_MODEL if model == BUNDLED_NAME else Path(model)) / "prompt.toml"
    return load_prompt(own if own.is_file() else "promptreps")


def _channels(prompt: Prompt, channels: Sequence[str] | None) -> tuple[str, ...]:
    """Return the channels that are computed, all that the prompt reads by default."""
    if channels is None:
        read = {"dense": prompt.reading.dense, "sparse": prompt.reading.sparse is not None}
        return tuple(name for name, does in read.items() if does)
    if not channels or set(channels) - {"dense", "sparse"} or len(set(channels)) < len(channels):
        raise ValueError(f"a language model gives dense, sparse or both; got {list(channels)}")
    return tuple(channels)
