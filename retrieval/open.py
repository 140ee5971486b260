"""Open an index for searching, with the channels, models and fusion that it names."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from embedder.arguments import check_names, check_options, check_path
from embedder.checkpoints.addresses import is_remote
from embedder.checkpoints.trust import ModelAccess, check_model
from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.load import load_from_spec
from embedder.encoders.specs import (
    NO_SPEC,
    EncoderSpec,
    LLMSpec,
    RemoteSpec,
    WordSpec,
    from_json,
    full_place,
    models_of,
)
from embedder.models.loading import LLMOptions
from embedder.types import Encoder
from index.folder import Index
from retrieval.fusion import fusion_by_name
from retrieval.fusion_choice import AUTO
from retrieval.milvus.opening import open_index
from retrieval.outside.opening import outside_channels
from retrieval.outside.specs import read_specs
from retrieval.retriever import DEPTH, Retriever


def open_retriever(
    path: str | Path,
    channels: Sequence[str] | None = None,
    fusion: str = AUTO,
    depth: int = DEPTH,
    access: ModelAccess | None = None,
    *,
    also: Sequence[str] = (),
    query_language: str = "",
    light: bool = False,
) -> Retriever:
    """Open an index and load the encoders that it names; `lastword search` does the same.

    Args:
        path: folder of an index, or milvus:URI/COLLECTION.
        channels: some of its channels; all by default.
        fusion: as a `Retriever` takes it.
        depth: documents that each channel contributes to the fusion.
        access: where models run, and which are allowed.
        also: channels outside of the index, e.g. "lucene:PATH", which all take part; see
            `retrieval.outside.specs.read_spec`. Where `channels` names them alone, no other does.
        query_language: of an index whose bm25 has several: that of the queries; all by default.
        light: few queries are asked, one by one: the bundled model reads them without torch, which
            opens in a fifth of the time. Scores are the same to 1e-6.

    Returns:
        A retriever to be closed, as by `with`, which closes the index.

    Raises:
        TypeError: an argument is of another type.
        ValueError: it is no index, has no such channel, does not say how a channel reads texts,
            or names a model that this machine's user has not chosen.

    >>> with lw.open_retriever(index.path, channels=["bm25"]) as retriever:
    ...     list(retriever.search({"q1": "rotate a key"}, k=10)["q1"])
    ['1']
    """
    check_path(path, "path")
    check_names(channels, "channels")
    check_options(access, ModelAccess, "access")
    check_names(also, "also")
    outside = read_specs(also)
    index = open_index(path)
    try:
        names = choose_channels(index, channels or (), outside)
        if (
            isinstance(fusion, str) and fusion != AUTO
        ):  # a wrong one is told before models are loaded
            fusion_by_name(fusion, [*names, *outside])
        encoders = _asked_in(query_language, load_encoders(index, names, access, light))
        with outside_channels(outside, encoders, index.channels) as opened:
            return Retriever(index, encoders, fusion, depth, outside=opened)
    except BaseException:
        index.close()
        raise


def _asked_in(language: str, encoders: dict[str, Encoder]) -> dict[str, Encoder]:
    """Return encoders of which bm25's reads queries in one of its languages."""
    if not language:
        return encoders
    words = {
        name: encoder.asked_in(language)
        for name, encoder in encoders.items()
        if isinstance(encoder, BM25Encoder)
    }
    if not words:
        raise ValueError(
            f"the query language {language!r} is of bm25's words, which is not searched"
        )
    return encoders | words


def load_encoders(
    index: Index,
    channels: Sequence[str] | None = None,
    access: ModelAccess | None = None,
    light: bool = False,
) -> dict[str, Encoder]:
    """Load the encoders of an index's channels; see `load_specs`.

    Args:
        index: opened.
        channels: those that are needed, all by default; no other model is loaded.
        access: where models run, and which are allowed.
        light: see `open_retriever`.
    """
    names = list(index.channels) if channels is None else channels
    return load_specs({name: index.channels[name].recipe for name in names}, access, light)


def load_words(index: Index) -> Encoder:
    """Return what analysed the texts of an index's bm25 channel, or what would."""
    spec = index.channels.get("bm25")
    if spec is None or spec.recipe == NO_SPEC:  # of an encoder of one's own, or an old version
        return BM25Encoder()
    return load_encoders(index, ["bm25"])["bm25"]


def load_specs(
    specs: Mapping[str, str], access: ModelAccess | None = None, light: bool = False
) -> dict[str, Encoder]:
    """Load the encoders of stored specs; channels of equal specs share one encoder.

    Args:
        specs: channel -> spec as JSON, perhaps a stranger's.
        access: where models run, perhaps where the model now lies, and which is allowed.
        light: see `open_retriever`.

    Raises:
        ValueError: a spec cannot be read, names a model that this machine's user has not chosen,
            or that model cannot be loaded.
        ConnectionError: a server does not answer.
    """
    access = access or ModelAccess()
    options = LLMOptions(device=access.device, trust_remote_code=access.trust_remote_code)
    loaded: dict[EncoderSpec, Encoder] = {}
    encoders: dict[str, Encoder] = {}
    for channel, stored in specs.items():
        spec = from_json(stored, channel)
        check_spec(spec, access)
        if _has_moved(spec, access):
            assert not isinstance(spec, WordSpec), spec
            variant = replace(spec.variant, revision="")  # which was the old place's
            spec = replace(spec, model=full_place(access.model), variant=variant)
        if spec not in loaded:
            loaded[spec] = _load_light(spec, options) if light else load_from_spec(spec, options)
        encoders[channel] = loaded[spec]
    return encoders


def _load_light(spec: EncoderSpec, options: LLMOptions) -> Encoder:
    """Load an encoder that starts quickly, where there is one."""
    from embedder.light.encoder import load_light

    return load_light(spec, options) or load_from_spec(spec, options)


def check_spec(spec: EncoderSpec, access: ModelAccess) -> None:
    """Refuse a spec of an index that names a model or file that the user has not chosen.

    Raises:
        ValueError: names the model or file, and the option that allows it.
    """
    if isinstance(spec, WordSpec):
        return
    model, *rewriting = models_of(spec)
    if not _has_moved(spec, access):
        check_model(model, access.allow_model, spec.variant.revision)
    for name in rewriting:
        check_model(name, access.allow_model)
    if spec.prompt and spec.prompt.adapt and not Path(spec.prompt.adapt).is_absolute():
        raise ValueError(
            f"the index adapts queries by {spec.prompt.adapt!r}, a file relative to the working "
            "directory, which is not read: its path must be a full one"
        )


def _has_moved(spec: EncoderSpec, access: ModelAccess) -> bool:
    """Tell whether the user says where the model of a spec is now."""
    kind = RemoteSpec if is_remote(access.model) else LLMSpec
    return bool(access.model) and isinstance(spec, kind)


def choose_channels(
    index: Index, channels: Sequence[str], outside: Collection[str] = ()
) -> list[str]:
    """Return the channels of an index that are given, all by default.

    Args:
        index: opened.
        channels: some of its channels, or of those outside.
        outside: names of channels outside of the index.

    Raises:
        ValueError: the index has no such channel, or it is given twice.
    """
    names = [name for name in channels or index.channels if name not in outside]
    unknown = [name for name in names if name not in index.channels]
    if unknown or len(set(names)) != len(names):
        raise ValueError(
            f"channels takes some of the index's {','.join(index.channels)}, each once; "
            f"got {','.join(names)!r}"
        )
    return names
