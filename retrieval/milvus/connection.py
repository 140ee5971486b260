"""One collection of Milvus: asked through pymilvus, and what it answers looked at first."""

import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from retrieval.milvus.place import MilvusPlace

TOKEN = "MILVUS_TOKEN"
"""Environment variable of a token, or of NAME:PASSWORD."""
INSTALL = 'pip install "lastword[milvus]"'
MOST_HITS = 16_384
"""Most hits that Milvus returns to one query."""
_ANSWER_SECONDS = 60
_CONNECT_SECONDS = 5
_PAGE = 1000  # entities that are listed at a time
_Entity = dict[str, Any]


class MilvusCollection:
    """A collection on a server that was reached.

    Args:
        place: of it.

    Raises:
        ImportError: pymilvus is not installed.
        ConnectionError: the server does not answer.
    """

    def __init__(self, place: MilvusPlace) -> None:
        try:
            import pymilvus
        except ImportError as error:
            raise ImportError(f"{place.uri} needs pymilvus: {INSTALL} ({error})") from None
        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs what is raised
        self.place = place
        self.types = pymilvus.DataType
        self._name = place.collection
        self._token = os.environ.get(TOKEN, "")
        if place.address is not None:  # pymilvus would try for 10 seconds
            try:
                socket.create_connection(place.address, _CONNECT_SECONDS).close()
            except OSError as error:
                raise ConnectionError(f"no Milvus answers at {place.uri}: {error}") from None
        with self._errors("connecting"):
            self._client = pymilvus.MilvusClient(
                uri=place.uri, token=self._token, timeout=_ANSWER_SECONDS
            )

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def exists(self) -> bool:
        """Tell whether there is such a collection."""
        with self._errors("looking for the collection"):
            return bool(self._client.has_collection(self._name, timeout=_ANSWER_SECONDS))

    def describe(self) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
        """Return fields by name, and the properties."""
        with self._errors("describing the collection"):
            found = self._client.describe_collection(self._name, timeout=_ANSWER_SECONDS)
        fields = {str(field["name"]): field for field in found["fields"]}
        return fields, {str(key): str(text) for key, text in found.get("properties", {}).items()}

    def create(self, schema: Any, properties: Mapping[str, str]) -> None:  # noqa: ANN401
        """Make the collection, without indexes."""
        with self._errors("creating the collection"):
            self._client.create_collection(
                self._name,
                schema=schema,
                properties=dict(properties),
                consistency_level="Strong",  # a search sees what was pushed before
                timeout=_ANSWER_SECONDS,
            )

    def index(self, field: str, kind: str, settings: Mapping[str, Any]) -> None:
        """Index a field, where that was not done."""
        with self._errors(f"indexing {field}"):
            if self._client.list_indexes(self._name, field_name=field):
                return
            params = self._client.prepare_index_params()
            params.add_index(field, index_type=kind, metric_type="IP", params=dict(settings))
            self._client.create_index(self._name, params, timeout=_ANSWER_SECONDS)

    def drop(self) -> None:
        """Remove the collection and all that is in it."""
        with self._errors("dropping the collection"):
            self._client.drop_collection(self._name, timeout=_ANSWER_SECONDS)

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Change some of the properties."""
        with self._errors("writing properties"):
            self._client.alter_collection_properties(
                self._name, dict(properties), timeout=_ANSWER_SECONDS
            )

    def upsert(self, entities: Sequence[_Entity]) -> None:
        """Write entities, each in place of the one of its key."""
        with self._errors("writing"):
            self._client.upsert(self._name, list(entities), timeout=_ANSWER_SECONDS)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove entities by key."""
        with self._errors("deleting"):
            self._client.delete(self._name, filter=_among(keys), timeout=_ANSWER_SECONDS)

    def flush(self) -> None:
        """Have the server put on disk what it was given."""
        with self._errors("flushing"):
            self._client.flush(self._name, timeout=_ANSWER_SECONDS)

    def load(self) -> None:
        """Have the server take the collection into memory."""
        with self._errors("loading the collection"):
            self._client.load_collection(self._name, timeout=_ANSWER_SECONDS)

    def count(self, expression: str) -> int:
        """Return the number of entities that meet an expression."""
        with self._errors("counting"):
            found = self._client.query(
                self._name,
                filter=expression,
                output_fields=["count(*)"],
                consistency_level="Strong",
                timeout=_ANSWER_SECONDS,
            )
            return int(found[0]["count(*)"])

    def get(self, keys: Sequence[str], fields: Sequence[str]) -> dict[str, _Entity]:
        """Return entities by key; those that are not there are left out."""
        found: dict[str, _Entity] = {}
        for start in range(0, len(keys), _PAGE):
            page = keys[start : start + _PAGE]
            with self._errors("reading"):
                entities = self._client.query(
                    self._name,
                    filter=_among(page),
                    output_fields=["key", *fields],
                    consistency_level="Strong",
                    timeout=_ANSWER_SECONDS,
                )
                found |= {entity["key"]: entity for entity in map(dict, entities)}
        return found

    def stream(self, expression: str, fields: Sequence[str]) -> Iterator[_Entity]:
        """Yield the entities that meet an expression, in no order."""
        with self._errors("listing"):
            pages = self._client.query_iterator(
                self._name,
                batch_size=_PAGE,
                filter=expression,
                output_fields=list(fields),
                consistency_level="Strong",
                timeout=_ANSWER_SECONDS,
            )
        while True:
            with self._errors("listing"):
                page = pages.next()
            if not page:
                pages.close()
                return
            yield from map(dict, page)

    def search(
        self,
        field: str,
        queries: Sequence[Any],
        limit: int,
        expression: str,
        settings: Mapping[str, Any],
        returned: Sequence[str],
    ) -> list[list[tuple[_Entity, float]]]:
        """Return the best entities of each query with their inner products, best first."""
        with self._errors(f"searching {field}"):
            found = self._client.search(
                self._name,
                data=list(queries),
                anns_field=field,
                limit=limit,
                filter=expression,
                output_fields=list(returned),
                search_params={"metric_type": "IP", "params": dict(settings)},
                consistency_level="Strong",
                timeout=_ANSWER_SECONDS,
            )
            hits = [[(dict(hit["entity"]), float(hit["distance"])) for hit in own] for own in found]
        if len(hits) != len(queries) or any(len(own) > limit for own in hits):
            raise ValueError(f"{self.place} answered {len(queries)} queries with {len(hits)} lists")
        return hits

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        """Say in one line what the server or its client refuses."""
        import grpc
        from pymilvus.exceptions import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError) as error:
            raise ConnectionError(f"{self.place}, {doing}: {self._reason(error)}") from None
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            kind = type(error).__name__
            raise ValueError(f"{self.place}, {doing}: no answer of Milvus ({kind})") from error

    def _reason(self, error: Any) -> str:  # noqa: ANN401
        details = error.details() if hasattr(error, "details") else ""  # of gRPC
        text = str(getattr(error, "message", "") or details or error).strip().split("\n")[0]
        return text.replace(self._token, "…") if self._token else text


def quote(text: str) -> str:
    """Write a text as expressions of Milvus have it."""
    return json.dumps(text, ensure_ascii=False)


def _among(keys: Sequence[str]) -> str:
    return f"key in [{', '.join(map(quote, keys))}]"
