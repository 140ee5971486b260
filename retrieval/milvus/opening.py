"""Open an index wherever it lies, and answer for one in Milvus what is asked of one in a folder."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from index.channel import ChannelRows
from index.documents import Document
from index.filters.column import FieldPath
from index.filters.expression import Filter
from index.filters.kept import KeptDocuments, keep_documents, missing_field
from index.folder import Index
from index.read_documents import number_documents, read_documents
from index.storage.milvus_address import is_milvus
from retrieval.milvus.channel import MilvusRows
from retrieval.milvus.expressions import write_expression
from retrieval.milvus.remote_index import MilvusIndex


def open_index(path: str | Path) -> Index:
    """Open an index of a folder, or of a collection milvus:URI/COLLECTION.

    Raises:
        FileNotFoundError: there is no such folder.
        ImportError: pymilvus is not installed.
        ConnectionError: a server does not answer.
        ValueError: it is no index, or a damaged one.
    """
    return MilvusIndex.open(path) if is_milvus(path) else Index.open(path)


@dataclass(frozen=True, slots=True, eq=False)
class MilvusKept(KeptDocuments):
    """The documents of a collection that meet a filter, which the server tries.

    Attributes:
        expression: the filter as Milvus has it; "" keeps all.
    """

    expression: str = ""

    def __len__(self) -> int:
        return self._milvus.count(self.expression)

    def __contains__(self, document_id: str) -> bool:
        return self._milvus.has(document_id, self.expression)

    @property
    def _milvus(self) -> MilvusIndex:
        assert isinstance(self.index, MilvusIndex)
        return self.index

    def narrow(self, channels: Iterable[str]) -> Index:
        """Return the same index, whose searches of some channels find these documents alone."""
        narrowed: Index = self.index
        for name in channels:
            rows: ChannelRows = narrowed.channel_rows(name)
            assert isinstance(rows, MilvusRows)
            narrowed = narrowed.with_channel(rows.within(self.expression))
        return narrowed

    def remarks(self) -> list[str]:
        """Say nothing: which fields there are is known to the server alone."""
        return []


@keep_documents.register
def _keep(index: MilvusIndex, chosen: Filter | None) -> KeptDocuments:
    expression = "" if chosen is None else write_expression(chosen.expression)
    return MilvusKept(index, chosen, (), expression)


@missing_field.register
def _missing(index: MilvusIndex, field: FieldPath) -> str:
    return ""


@read_documents.register
def _read(index: MilvusIndex, ids: Iterable[str]) -> dict[str, Document]:
    return index.read(ids)


@number_documents.register
def _number(index: MilvusIndex, ids: Collection[str]) -> dict[str, int]:
    return {name: index.seen.number_document(name) for name in ids}
