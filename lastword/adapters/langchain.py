"""An index as a retriever of LangChain, and an encoder as its embeddings."""

from functools import partial
from typing import Any

from embedder.arguments import check_count, check_text
from embedder.text_encoder import TextEncoder
from embedder.types import list_texts
from lastword.adapters.arguments import check_encoder, check_engine, check_filter
from lastword.engine import SearchEngine

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import run_in_executor
except ImportError as error:
    raise ImportError(
        f'{__name__} needs langchain-core ({error}): pip install "lastword[adapters]"'
    ) from error


class LangChainRetriever(BaseRetriever):
    """Returns what an index finds, as `SearchEngine.search` ranks it.

    A document's metadata are its own, and "id", "title" and "score" (which come before its own of
    the same name). Batches run in threads, as LangChain has it.

    Attributes:
        engine: of `lastword.open` or `lastword.build`.
        k: most documents of a query; `invoke(query, k=3)` takes another number once.
        filter: a condition on metadata, as `SearchEngine.search` takes it; `invoke` another, once.
    """

    engine: SearchEngine
    k: int = 10
    filter: str | None = None

    def __init__(
        self,
        engine: SearchEngine,
        k: int = 10,
        filter: str | None = None,  # noqa: A002  (the word of the command)
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(
            engine=check_engine(engine),
            k=check_count(k, "k", least=1),
            filter=check_filter(filter),
            **options,
        )

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: str | None = None,  # noqa: A002
    ) -> list[Document]:
        k, chosen = self.k if k is None else k, self.filter if filter is None else filter
        hits = self.engine.search(query, k, filter=chosen)
        return [
            Document(
                id=hit.id,
                page_content=hit.text,
                metadata={**hit.metadata, "id": hit.id, "title": hit.title, "score": hit.score},
            )
            for hit in hits
        ]

    async def _aget_relevant_documents(
        self,
        query: str,
        *,
        run_manager: AsyncCallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: str | None = None,  # noqa: A002
    ) -> list[Document]:
        search = partial(self._get_relevant_documents, run_manager=run_manager.get_sync())
        documents: list[Document] = await run_in_executor(
            None, partial(search, k=k, filter=filter), query
        )
        return documents


class LangChainEmbeddings(Embeddings):
    """Dense vectors of an encoder, for a vector store of LangChain.

    Args:
        encoder: of `lastword.load_encoder`; it gives dense rows, one a text.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = check_encoder(encoder)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each document."""
        rows: list[list[float]] = self.encoder.encode_document(list_texts(texts), "dense").tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a query."""
        row: list[float] = self.encoder.encode_query(check_text(text, "text"), "dense").tolist()
        return row
