"""Load the encoder of each channel from options, and describe encoders in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from embedder.checkpoints.addresses import is_remote
from embedder.checkpoints.bundled import BUNDLED_NAME
from lastword.cli.engines import EngineOptions
from lastword.cli.options import EncoderOptions
from lastword.cli.parse import choose_names
from lastword.cli.screen import counted

if TYPE_CHECKING:
    from embedder.encoders.specs import BM25Spec, EncoderSpec
    from embedder.prompts.prompt import Prompt
    from embedder.types import Encoder
    from lastword.cli.screen import Screen

_SBERT = "sbert:"


def make_encoders(
    reading: EncoderOptions, texts: Iterable[str] | None = None, words: EngineOptions | None = None
) -> "dict[str, Encoder]":
    """Load the encoders that the options name, by channel; channels may share one.

    Args:
        reading: the options.
        texts: the collection, from which some prompts draw examples; read only for these.
        words: how words are read; as by default where there are no such options.

    Raises:
        ValueError: the options contradict each other, or a model cannot be loaded.
    """
    from embedder.encoders.specs import CHANNELS

    channels = channel_names(reading.channels)
    encoders: dict[str, Encoder] = {}
    if not channels or {"dense", "sparse"} & set(channels):
        encoders |= model_channels(reading, texts)
    if not channels or "bm25" in channels:
        encoders["bm25"] = (words or EngineOptions()).word_encoder(reading.language)
    order = channels or [name for name in CHANNELS if name in encoders]
    return {name: encoders[name] for name in order}


def channel_names(text: str) -> list[str]:
    """Split "dense,bm25"; the empty text is no choice.

    Raises:
        ValueError: an unknown channel, or one that comes twice.
    """
    from embedder.encoders.specs import CHANNELS

    return choose_names("--channels", text, CHANNELS)


def model_channels(
    reading: EncoderOptions, texts: Iterable[str] | None = None
) -> dict[str, "Encoder"]:
    """Load the language model, or what stands in its place, for dense and sparse.

    Raises:
        ValueError: as `make_encoders`.
    """
    from embedder.encoders.load import load_encoder, own_prompt
    from embedder.encoders.specs import channels_of

    channels = tuple(name for name in channel_names(reading.channels) if name != "bm25")
    if reading.embedder:
        return _embedder_channels(reading, channels)
    if reading.model.startswith(_SBERT) or is_remote(reading.model):
        raise ValueError(f"{reading.model} is no language model; give it as --embedder")
    if reading.model.partition(":")[0] == "bm25":  # which is a model's name in Python
        raise ValueError(
            f"{reading.model} is no language model; --channels bm25 indexes by words alone, and "
            "--language says how they are read"
        )
    prompt = _chosen_prompt(reading) or _with_task(own_prompt(reading.model), reading.task)
    encoder = load_encoder(reading.model, prompt, reading.llm_options(), channels or None, texts)
    return dict.fromkeys(channels_of(encoder), encoder)


def _embedder_channels(reading: EncoderOptions, channels: Sequence[str]) -> dict[str, "Encoder"]:
    from embedder.encoders.load import load_encoder
    from embedder.encoders.specs import channels_of

    name = reading.embedder
    if not is_remote(name) and (not name.startswith(_SBERT) or name == _SBERT):
        raise ValueError(
            "--embedder takes sbert:NAME, a sentence-transformers model, or a server's as "
            f"tei:URL or openai:MODEL@URL; got {name!r}"
        )
    if reading.model != BUNDLED_NAME:
        raise ValueError("--embedder stands in place of a language model; leave out --model")
    prompt = _chosen_prompt(reading)
    if prompt is None and reading.task:
        raise ValueError("--task stands for {task} in a --prompt, and none is given")
    encoder = load_encoder(name, prompt, reading.llm_options())
    (kind,) = channels_of(encoder)
    if set(channels) - {kind}:
        raise ValueError(
            f"{name.removeprefix(_SBERT)} gives {kind} rows only; leave out --channels, or take "
            f"{kind},bm25"
        )
    return {kind: encoder}


def read_prompt(name: str) -> "Prompt":
    """Read a prompt by name or file, whose fusion must be one that a search can use.

    Raises:
        ValueError: as of `load_prompt` and `check_fusion`.
    """
    from embedder.prompts.files import load_prompt
    from retrieval.fusion_choice import check_fusion

    prompt = load_prompt(name)
    check_fusion(prompt, name)
    return prompt


def _chosen_prompt(reading: EncoderOptions) -> "Prompt | None":
    """Read the prompt of --prompt, with the task of --task."""
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


def describe_spec(spec: "EncoderSpec") -> str:
    """Describe an encoder in a few words."""
    from embedder.encoders.specs import BM25Spec, SbertSpec
    from embedder.lucene.spec import LuceneSpec

    if isinstance(spec, LuceneSpec):
        return f"{spec.language} words by Lucene"
    if isinstance(spec, BM25Spec):
        if spec.language == "whitespace":
            return "none: terms between spaces"
        return _described_words(spec)
    model = "the bundled model" if spec.model == BUNDLED_NAME else spec.model
    if isinstance(spec, SbertSpec):
        model = f"sbert:{spec.model}"
    facts = [f"{name} {_listed(value)}" for name, value in spec.variant.facts.items()]
    facts += [f"prompt {spec.prompt.name}"] if spec.prompt else []
    return ", ".join([model, *facts])


def _described_words(spec: "BM25Spec") -> str:
    """Describe how BM25 reads words: languages, and what differs from the defaults."""
    names = spec.language.split(",")
    facts = [f"{' and '.join([', '.join(names[:-1]), names[-1]] if names[1:] else names)} words"]
    if spec.analysis == 1:
        facts[0] += " by the first rules"
    if spec.language_field:
        facts.append(f"told by the field {spec.language_field}")
    if spec.stop_words is not None:
        number = counted(len(spec.stop_words), "stop word") if spec.stop_words else "no stop words"
        facts.append(f"{number} of your own" if spec.stop_words else number)
    if spec.fields:
        facts.append(f"fields {spec.fields.replace(',', ' + ')}")
    return ", ".join(facts)


def word_remarks(counts: Mapping[str, int]) -> list[str]:
    """Say what BM25 found out about the documents that it read, from its counts."""
    texts = counts.get("texts", 0)
    remarks = [
        f"no document has the field {name.removeprefix('without_')!r}."
        for name, count in counts.items()
        if name.startswith("without_") and name != "without_words" and 0 < texts == count
    ]
    languages = {name[3:]: count for name, count in counts.items() if name.startswith("in_")}
    if languages:
        listed = ", ".join(f"{count:,} in {name}" for name, count in languages.items())
        remarks.append(f"of {counted(texts, 'text')}, {listed}.")
    if other := counts.get("other_language", 0):
        remarks.append(
            f"{counted(other, 'text')} had no language of the index in its field; the text told it."
        )
    if undetected := counts.get("undetected", 0):
        remarks.append(f"nothing told the language of {counted(undetected, 'text')}.")
    return remarks


def _listed(value: object) -> str:
    return "/".join(value) if isinstance(value, list) else str(value)


def tell_unprocessed(spec: "EncoderSpec", screen: "Screen", rows: str = "Rows") -> None:
    """Say that a prompt's [post] was not applied, since there is no collection to fit it to."""
    prompt: Prompt | None = getattr(spec, "prompt", None)
    if prompt is not None and prompt.post is not None:
        screen.remark(
            f"{rows} are unprocessed: [post] of prompt {prompt.name} is fitted to a collection "
            "when that is indexed."
        )


def describe_encoders(encoders: Mapping[str, "Encoder"]) -> str:
    """Describe all channels in one line; channels that share an encoder are named together."""
    from embedder.encoders.specs import specs_of

    channels: dict[EncoderSpec, list[str]] = {}
    for name, spec in specs_of(encoders).items():
        channels.setdefault(spec, []).append(name)
    return "; ".join(
        f"{describe_spec(spec)} ({', '.join(names)})" for spec, names in channels.items()
    )
