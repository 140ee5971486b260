"""Make an index, or open it, with the encoders that its channels need."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from embedder.arguments import check_options, check_path, check_text
from embedder.checkpoints.trust import ModelAccess
from embedder.encoders.load import load_encoder
from embedder.encoders.specs import channels_of
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder
from index.folder import Index
from lastword.documents import Source, read_documents
from lastword.engine import SearchEngine
from retrieval.build import build_index
from retrieval.fusion_choice import AUTO
from retrieval.open import open_retriever
from retrieval.options import BuildOptions
from retrieval.retriever import DEPTH, Retriever

Model = str | Path | Encoder | Mapping[str, Encoder]
"""A model's name or folder, an encoder of `load_encoder`, or an encoder for each channel."""


@contextmanager
def given_engine(index: SearchEngine | str | Path) -> Iterator[SearchEngine]:
    """Yield an index that is open, or open a folder and close it in the end.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(index, SearchEngine):
        yield index
        return
    check_path(index, "index", "an open index, or its folder")
    with open_engine(index) as engine:
        yield engine


def open_engine(
    path: str | Path,
    channels: Sequence[str] | None = None,
    fusion: str = AUTO,
    depth: int = DEPTH,
    access: ModelAccess | None = None,
    *,
    also: Sequence[str] = (),
    query_language: str = "",
    light: bool = False,
) -> SearchEngine:
    """Open an index, with the encoders, prompts and fusion that it names itself.

    Args:
        path: folder of an index, made by `build` or by `lastword index`; or a collection that
            `push` made, "milvus:http://HOST:19530/COLLECTION".
        channels: some of its channels; all by default.
        fusion: e.g. "rrf" or "minmax:dense=0.7,bm25=0.3"; "auto" is the index's own.
        depth: documents that each channel contributes to the fusion.
        access: where models run, where they lie now, and which are allowed.
        also: channels outside of the index, that rank its documents by their ids: "lucene:PATH"
            is an index of Anserini or pyserini, "NAME=lucene:PATH?language=de" calls it NAME.
        query_language: of an index whose bm25 has several: that of the queries; all by default.
        light: few queries are asked, one by one: the bundled model reads them without torch, which
            opens in a fifth of the time. Scores are the same to 1e-6.

    Raises:
        TypeError: an argument is of another type.
        ValueError: it is no index, has no such channel, or names a model that you did not choose.

    >>> lw.build("my.index", ["green tea", "black rock"]).close()
    >>> with lw.open("my.index") as index:
    ...     index.search("tea", k=1)[0].text
    'green tea'
    """
    check_text(fusion, "fusion")  # not a function, which adding documents could not keep
    check_text(query_language, "query_language")
    return SearchEngine(
        open_retriever(
            path,
            channels,
            fusion,
            depth,
            access,
            also=also,
            query_language=query_language,
            light=light,
        )
    )


def build_engine(
    path: str | Path | None,
    documents: Source,
    model: Model = "bundled",
    prompt: Prompt | str | Path | None = None,
    options: BuildOptions | None = None,
) -> SearchEngine:
    """Make an index of documents and open it; BM25 comes along.

    Args:
        path: folder to make; None makes an index that goes when it is closed or forgotten.
        documents: strings, dicts with "text" and perhaps "id", "title" and any metadata, or
            Documents, also from a generator; or a path or name, as `lastword index` takes it.
        model: name or folder of a language model, "bundled", "sbert:NAME", or "bm25" for words
            alone; or an encoder, or an encoder for each channel.
        prompt: library name, file or value; None is the model's own, else "promptreps".
        options: how it is built, see `BuildOptions`; `overwrite` replaces a complete index.

    Raises:
        TypeError: an argument is of another type.
        ValueError: a document has no text, an id comes twice, or there is an index already. A
            failed build leaves no folder, unless a segment of it was committed: the same call
            then goes on from there.

    >>> documents = [{"id": "keys", "text": "rotate the key", "year": 1999}, "green tea"]
    >>> index = lw.build("my.index", documents, model="bundled")
    >>> index.ids(), index.get("keys").metadata
    (['keys', '1'], {'year': 1999})
    """
    if path is not None:
        check_path(path, "path")
    check_options(options, BuildOptions)
    encoders = choose_encoders(model, prompt)
    folder = Path(tempfile.mkdtemp(prefix="lastword-")) / "index" if path is None else Path(path)
    try:
        report = build_index(read_documents(documents), encoders, folder, options)
        retriever = Retriever(Index.open(folder), encoders)
    except BaseException:
        if path is None:
            shutil.rmtree(folder.parent, ignore_errors=True)
        raise
    if path is not None:
        return SearchEngine(retriever, report)
    remove = partial(shutil.rmtree, folder.parent, ignore_errors=True)
    engine = SearchEngine(retriever, report, remove)
    weakref.finalize(engine, remove)
    return engine


def choose_encoders(model: Model, prompt: Prompt | str | Path | None) -> dict[str, Encoder]:
    """Return the encoder of each channel."""
    if prompt is not None and not isinstance(model, str | Path):
        raise ValueError("a prompt goes with a model's name; encoders have theirs")
    if isinstance(model, Mapping):
        for name, encoder in model.items():
            check_text(name, "the name of a channel")
            _check_encoder(encoder, f"the encoder of channel {name!r}", "an encoder")
        return dict(model)
    if isinstance(model, str | Path):
        encoder = load_encoder(model, prompt)
    else:
        encoder = _check_encoder(model, "model", "a name, a folder or an encoder")
    channels = dict.fromkeys(channels_of(encoder), encoder)
    return {**channels, "bm25": channels.get("bm25") or load_encoder("bm25")}


def _check_encoder(value: Any, name: str, expected: str) -> Any:  # noqa: ANN401
    if isinstance(value, type) or not isinstance(value, Encoder):
        raise TypeError(f"{name} must be {expected}; got {type(value).__name__}")
    return value
