"""An index as a retriever of Haystack, and an encoder as its embedders."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from embedder.arguments import check_count, check_text
from embedder.encoders.load import load_encoder
from embedder.text_encoder import TextEncoder
from lastword.adapters.arguments import check_encoder, check_engine, check_filter, metadata_of
from lastword.engine import SearchEngine
from lastword.opening import open_engine

try:
    from haystack import Document, component, default_to_dict
except ImportError as error:
    raise ImportError(
        f'{__name__} needs haystack-ai ({error}): pip install "lastword[adapters]"'
    ) from error


@component
class HaystackRetriever:
    """Returns what an index finds, as `SearchEngine.search` ranks it.

    A document's meta is its own, and its title, if any, as "title".

    Args:
        index: folder of an index, which is opened when the pipeline warms up; or an index of
            `lastword.open` or `lastword.build`, with which a pipeline cannot be written to YAML.
        top_k: most documents of a query.
        filter: a condition on metadata, as `SearchEngine.search` takes it.
    """

    def __init__(
        self,
        index: SearchEngine | str | Path,
        top_k: int = 10,
        filter: str | None = None,  # noqa: A002  (the word of the command)
    ) -> None:
        self.index: Any = index
        self.filter = check_filter(filter)
        self.top_k = check_count(top_k, "top_k", least=1)
        self._engine = None if isinstance(index, str | Path) else check_engine(index)

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline's YAML keeps."""
        index = _name(self.index, "the path of its index")
        facts: dict[str, Any] = default_to_dict(
            self, index=index, top_k=self.top_k, filter=self.filter
        )
        return facts

    def warm_up(self) -> None:
        """Open the index."""
        self._open()

    def _open(self) -> SearchEngine:
        if self._engine is None:
            self._engine = open_engine(self.index)
        return self._engine

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
        filter: str | None = None,  # noqa: A002
    ) -> dict[str, list[Document]]:
        """Search for one query; `filter` takes the place of the retriever's own.

        Raises:
            ValueError: there are `filters` in Haystack's form.
        """
        if filters:
            raise ValueError(f"filters are written as text, filter='year > 2020'; got {filters}")
        chosen = self.filter if filter is None else filter
        hits = self._open().search(query, self.top_k if top_k is None else top_k, filter=chosen)
        documents = [
            Document(id=hit.id, content=hit.text, meta=metadata_of(hit), score=hit.score)
            for hit in hits
        ]
        return {"documents": documents}


class HaystackEmbedder:
    """What the embedders of queries and of documents share.

    Args:
        model: name or folder of a model, as `lastword.load_encoder` takes it, loaded when the
            pipeline warms up; or an encoder, with which a pipeline cannot be written to YAML.
        prompt: library name or file; None is the model's own.
    """

    def __init__(self, model: str | Path | TextEncoder, prompt: str | Path | None = None) -> None:
        self.model: Any = model
        self.prompt = prompt
        self._encoder = None if isinstance(model, str | Path) else check_encoder(model)
        if self._encoder is not None and prompt is not None:
            raise ValueError("a prompt goes with a model's name; this encoder has its own")

    def to_dict(self) -> dict[str, Any]:
        """Return what a pipeline's YAML keeps."""
        prompt = None if self.prompt is None else str(self.prompt)
        model = _name(self.model, "the name of its model")
        facts: dict[str, Any] = default_to_dict(self, model=model, prompt=prompt)
        return facts

    def warm_up(self) -> None:
        """Load the model."""
        self._load()

    def _load(self) -> TextEncoder:
        if self._encoder is None:
            self._encoder = load_encoder(self.model, self.prompt)
        return self._encoder


@component
class HaystackTextEmbedder(HaystackEmbedder):
    """Dense vector of a query."""

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        """Encode one query."""
        return {"embedding": self._load().encode_query(check_text(text, "text"), "dense").tolist()}


@component
class HaystackDocumentEmbedder(HaystackEmbedder):
    """Dense vectors of documents, of their content only."""

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Return the documents with their vectors."""
        if not isinstance(documents, list) or not all(isinstance(d, Document) for d in documents):
            raise TypeError("expected a list of Documents; for a text, see HaystackTextEmbedder")
        rows = self._load().encode_document([d.content or "" for d in documents], "dense")
        pairs = zip(documents, rows.tolist(), strict=True)
        return {"documents": [replace(document, embedding=row) for document, row in pairs]}


def _name(value: object, instead: str) -> str:
    if isinstance(value, str | Path):
        return str(value)
    raise ValueError(f"a pipeline cannot write a {type(value).__name__}; give {instead} instead")
