"""An index as a retriever of LlamaIndex, and an encoder as its embedding model."""

from typing import Any

from embedder.arguments import check_count, check_text
from embedder.text_encoder import TextEncoder
from embedder.types import list_texts
from lastword.adapters.arguments import check_encoder, check_engine, check_filter, metadata_of
from lastword.engine import SearchEngine

try:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as error:
    raise ImportError(
        f'{__name__} needs llama-index-core ({error}): pip install "lastword[adapters]"'
    ) from error

_MOST = 2048  # texts that LlamaIndex hands over in one call; the encoder makes batches of its own


class LlamaIndexRetriever(BaseRetriever):
    """Returns what an index finds, as `SearchEngine.search` ranks it.

    A node has the document's id, text and metadata, and its title, if any, as "title" among these.

    Args:
        engine: of `lastword.open` or `lastword.build`.
        similarity_top_k: most nodes of a query.
        filter: a condition on metadata, as `SearchEngine.search` takes it.
        options: of LlamaIndex's BaseRetriever.
    """

    def __init__(
        self,
        engine: SearchEngine,
        similarity_top_k: int = 10,
        filter: str | None = None,  # noqa: A002  (the word of the command)
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**options)
        self.engine = check_engine(engine)
        self.similarity_top_k = check_count(similarity_top_k, "similarity_top_k", least=1)
        self.filter = check_filter(filter)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        query = query_bundle.query_str
        hits = self.engine.search(query, self.similarity_top_k, filter=self.filter)
        return [
            NodeWithScore(
                node=TextNode(id_=hit.id, text=hit.text, metadata=metadata_of(hit)), score=hit.score
            )
            for hit in hits
        ]


class LlamaIndexEmbedding(BaseEmbedding):
    """Dense vectors of an encoder, for an index or a pipeline of LlamaIndex.

    Its `model_name` is the encoder's fingerprint, so that a cache of vectors mixes no two encoders.

    Args:
        encoder: of `lastword.load_encoder`; it gives dense rows, one a text.
        options: of LlamaIndex's BaseEmbedding.
    """

    _encoder: TextEncoder = PrivateAttr()

    def __init__(self, encoder: TextEncoder, **options: Any) -> None:  # noqa: ANN401
        name = check_encoder(encoder).fingerprint
        super().__init__(**{"model_name": name, "embed_batch_size": _MOST, **options})
        self._encoder = encoder

    @classmethod
    def class_name(cls) -> str:
        """Name the class, as LlamaIndex writes it."""
        return "LlamaIndexEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        row: list[float] = self._encoder.encode_query(check_text(query, "query"), "dense").tolist()
        return row

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([check_text(text, "text")])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        rows: list[list[float]] = self._encoder.encode_document(list_texts(texts), "dense").tolist()
        return rows
