"""Make the encoder of each channel, from options or again from what an index says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedder.checkpoints.bundled import BUNDLED_NAME
from embedder.prompts.files import format_prompt, parse_prompt
from lastword.cli.options import DeviceOptions, EncoderOptions
from lastword.cli.parse import choose_names, full_path
from lastword.cli.recipes import (
    CHANNELS,
    BM25Spec,
    EncoderSpec,
    LLMSpec,
    SbertSpec,
    from_json,
    read_prompt,
    to_json,
)
from lastword.cli.trust import check_recipe, models_of, remember_models

if TYPE_CHECKING:
    from embedder.prompts.prompt import Prompt
    from embedder.types import Encoder
    from retrieval.options import ChannelOptions

_SBERT = "sbert:"


@dataclass(frozen=True, slots=True)
class ChannelEncoders:
    """Encoders by channel, with what an index writes down about them.

    Attributes:
        encoders: channel -> encoder; channels that share an encoder hold the same object.
        recipes: channel -> recipe, with "auto" resolved.
    """

    encoders: Mapping[str, "Encoder"]
    recipes: Mapping[str, EncoderSpec]


def make_encoders(reading: EncoderOptions, texts: Iterable[str] | None = None) -> ChannelEncoders:
    """Make the encoders that the options ask for.

    Args:
        reading: the options.
        texts: the collection, from which some prompts draw examples; read only for these.

    Raises:
        ValueError: the options contradict each other, or a model cannot be loaded.
    """
    channels = channel_names(reading.channels)
    made: dict[str, tuple[Encoder, EncoderSpec]] = {}
    if not channels or {"dense", "sparse"} & set(channels):
        made |= model_channels(reading, texts)
    if not channels or "bm25" in channels:
        from embedder.encoders.bm25 import ANALYSIS

        recipe = BM25Spec(reading.language, ANALYSIS)
        made["bm25"] = _made(recipe, DeviceOptions())
    order = channels or [name for name in CHANNELS if name in made]
    return ChannelEncoders(
        {name: made[name][0] for name in order}, {name: made[name][1] for name in order}
    )


def remake_encoders(
    recipes: Mapping[str, str], channels: Sequence[str], running: DeviceOptions
) -> dict[str, "Encoder"]:
    """Make the encoders of an index's channels again; equal recipes share one encoder.

    Args:
        recipes: channel -> recipe as JSON, for every channel of the index.
        channels: those that are wanted; no other model is loaded.
        running: where models run, perhaps where the model now lies, and which is allowed.

    Raises:
        ValueError: a recipe cannot be read, names a model that this machine's user has not
            chosen, or that model cannot be loaded.
    """
    made: dict[EncoderSpec, Encoder] = {}
    encoders: dict[str, Encoder] = {}
    for channel in channels:
        recipe = from_json(recipes[channel], channel)
        check_recipe(recipe, running.allow_model, running.model)
        if running.model and isinstance(recipe, LLMSpec):
            recipe = replace(recipe, model=_place(running.model))
        if recipe not in made:
            made[recipe] = _made(recipe, running)[0]
        encoders[channel] = made[recipe]
    return encoders


def channel_names(text: str) -> list[str]:
    """Split "dense,bm25"; the empty text is no choice.

    Raises:
        ValueError: an unknown channel, or one that comes twice.
    """
    return choose_names("--channels", text, CHANNELS)


def channel_options(recipes: Mapping[str, EncoderSpec]) -> "dict[str, ChannelOptions]":
    """Say how channels are kept, each with its recipe written beside it."""
    from retrieval.options import DEFAULT_CHANNELS

    return {
        name: replace(DEFAULT_CHANNELS[name], recipe=to_json(recipe))
        for name, recipe in recipes.items()
    }


def model_channels(
    reading: EncoderOptions, texts: Iterable[str] | None = None
) -> dict[str, tuple["Encoder", EncoderSpec]]:
    """Load the language model, or what stands in its place, for dense and sparse.

    Raises:
        ValueError: as `make_encoders`.
    """
    wanted = tuple(name for name in channel_names(reading.channels) if name != "bm25")
    running = DeviceOptions(device=reading.device, trust_remote_code=reading.trust_remote_code)
    if reading.embedder:
        return _sbert_channels(reading, wanted, running)
    from embedder.encoders.llm import own_prompt

    model = _place(reading.model)
    prompt = _asked_prompt(reading) or _with_task(own_prompt(model), reading.task)
    has = {"dense": prompt.reading.dense, "sparse": prompt.reading.sparse is not None}
    reads = wanted or tuple(name for name, read in has.items() if read)
    prompt = _placed(prompt)
    asked = LLMSpec(model, format_prompt(prompt), reads, reading.dtype, reading.max_text_tokens)
    made = _made(asked, running, texts)
    remember_models(models_of(asked))
    return dict.fromkeys(reads, made)


def _sbert_channels(
    reading: EncoderOptions, wanted: Sequence[str], running: DeviceOptions
) -> dict[str, tuple["Encoder", EncoderSpec]]:
    name = reading.embedder.removeprefix(_SBERT)
    if name == reading.embedder or not name:
        raise ValueError(
            f"--embedder takes sbert:NAME, a sentence-transformers model; got {reading.embedder!r}"
        )
    if reading.model != BUNDLED_NAME:
        raise ValueError("--embedder stands in place of a language model; leave out --model")
    prompt = _asked_prompt(reading)
    if prompt is None and reading.task:
        raise ValueError("--task stands for {task} in a --prompt, and none is given")
    recipe = SbertSpec(_place(name), format_prompt(prompt) if prompt else "")
    encoder = _made(recipe, running)[0]
    remember_models(models_of(recipe))
    has = "sparse" if getattr(encoder, "sparse", False) else "dense"
    if set(wanted) - {has}:
        raise ValueError(f"{name} gives {has} rows only; leave out --channels, or take {has},bm25")
    return {has: (encoder, recipe)}


def _asked_prompt(reading: EncoderOptions) -> "Prompt | None":
    """Read the prompt that is asked for by name or file, with the task that is asked for."""
    return _with_task(read_prompt(reading.prompt), reading.task) if reading.prompt else None


def _with_task(prompt: "Prompt", task: str) -> "Prompt":
    if not task:
        return prompt
    if not any("task" in template.kinds for form in prompt.forms for template in form.all):
        raise ValueError(
            f"--task stands for {{task}} in a prompt, and prompt {prompt.name!r} has none; "
            "choose an instruction embedder's prompt, or write your own file"
        )
    return replace(prompt, task=task)


def _made(
    recipe: EncoderSpec, running: DeviceOptions, texts: Iterable[str] | None = None
) -> tuple["Encoder", EncoderSpec]:
    """Make an encoder, and the recipe with everything resolved."""
    if isinstance(recipe, BM25Spec):
        from embedder.encoders.bm25 import BM25Encoder

        return BM25Encoder(recipe.language, analysis=recipe.analysis), recipe
    if isinstance(recipe, SbertSpec):
        from embedder.encoders.sbert import SbertEncoder

        prompt = parse_prompt(recipe.prompt) if recipe.prompt else None
        trusted = running.trust_remote_code
        return SbertEncoder.load(recipe.model, running.device, prompt, trusted), recipe
    from embedder.encoders.load import open_encoder
    from embedder.models.loading import LLMOptions

    options = LLMOptions(
        max_text_tokens=recipe.max_text_tokens,
        dtype=recipe.dtype,
        device=running.device,
        trust_remote_code=running.trust_remote_code,
    )
    prompt = parse_prompt(recipe.prompt)
    encoder = open_encoder(recipe.model, prompt, options, recipe.reads, texts)
    reader: Any = getattr(encoder, "inner", encoder)  # one that rewrites texts wraps a reader
    used = reader.options
    recipe = replace(recipe, dtype=used.dtype, max_text_tokens=used.max_text_tokens)
    if prompt.sample is not None:  # the index keeps what was drawn
        recipe = replace(
            recipe, prompt=format_prompt(replace(prompt, examples=reader.prompt.examples))
        )
    return encoder, recipe


def _placed(prompt: "Prompt") -> "Prompt":
    """Name the files and folders of a prompt in full, since an index is searched from anywhere."""
    if prompt.adapt:
        path, _, digest = prompt.adapt.rpartition("#")
        prompt = replace(prompt, adapt=f"{Path(path).resolve()}#{digest}")
    if prompt.rewrite is not None and prompt.rewrite.writer:
        rewrite = replace(prompt.rewrite, writer=_place(prompt.rewrite.writer))
        prompt = replace(prompt, rewrite=rewrite)
    return prompt


def _place(model: str) -> str:
    """Return a model's folder in full, since an index is searched from anywhere."""
    return model if model == BUNDLED_NAME else full_path(model)
