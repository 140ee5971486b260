"""text-embeddings-inference (Hugging Face): dense models, and SPLADE models of sparse rows."""

from collections.abc import Sequence
from threading import Event
from typing import Any

from embedder.checkpoints.variant import ModelVariant
from embedder.remote.answers import (
    ServerRows,
    check_length,
    dense_rows,
    sparse_rows,
    token_count,
)
from embedder.remote.http_client import (
    TOO_LARGE,
    JsonClient,
    RefusedRequestError,
    ServerError,
)
from embedder.role import Role

KEYS = ("TEI_API_KEY",)
_DIGITS = 20  # of a number of tokens
_FACTS = {"model": "model_id", "revision": "model_sha", "dtype": "model_dtype"}


class TeiServer:
    """A server that says itself, under /info, which model it has and what it takes.

    Attributes:
        sparse: whether the model is a SPLADE model.
        facts: the model, for a fingerprint.
        most_texts: of one request.
        most_requests: at once.

    Raises:
        ServerError: it is not there, not ready, or has no model that embeds.
    """

    def __init__(self, client: JsonClient, variant: ModelVariant) -> None:
        variant.check("a model of text-embeddings-inference", ("truncate_dim", "prompt_names"))
        self.client, self._variant = client, variant
        info = client.ask("/info").value
        client.ask("/health")  # /info is answered while the model does not run
        kinds = info.get("model_type") if isinstance(info, dict) else None
        if not isinstance(kinds, dict) or not isinstance(info.get("model_id"), str):
            raise ServerError(f"{client.address}/info is not that of text-embeddings-inference")
        embedding = kinds.get("embedding")
        if not isinstance(embedding, dict):
            raise ServerError(f"{client.address} has a {', '.join(kinds)}, which embeds no texts")
        self.sparse = embedding.get("pooling") == "splade"
        self._most_tokens = _count(info, "max_input_length")
        self.most_texts = _count(info, "max_client_batch_size") or 32  # the server's own default
        self.most_requests = _count(info, "max_concurrent_requests") or 1
        self.facts = {name: info.get(key) for name, key in _FACTS.items()}
        self.facts |= {"kind": "tei", "pooling": embedding.get("pooling")}
        self.facts |= {"max_input_length": self._most_tokens}

    def embed(
        self, strings: Sequence[str], role: Role, keep_end: bool, stopped: Event
    ) -> ServerRows:
        """Embed strings in order; those that are too long are cut at their end, and counted.

        Args:
            strings: at least one, none empty.
            role: chooses among the prompts by name.
            keep_end: refuse a string that is too long, rather than cut it.
            stopped: see `JsonClient.ask`.

        Raises:
            RefusedRequestError: the server finds fault with a string.
            ServerError: it does not answer, or not to the question.
            FaultyRowError: a row is none.
        """
        body: dict[str, Any] = {"inputs": list(strings), "truncate": False}
        body |= {} if self.sparse else {"normalize": True}
        body |= self._named_prompt(role)
        route, truncated = "/embed_sparse" if self.sparse else "/embed", 0
        try:
            answer = self.client.ask(route, body, stopped)
        except RefusedRequestError as refusal:
            if refusal.status != TOO_LARGE or keep_end:
                raise
            truncated = self._count_long(strings, role, stopped)
            if not truncated:
                raise
            answer = self.client.ask(route, body | {"truncate": True}, stopped)
        tokens = answer.headers.get("x-compute-tokens", "")[:_DIGITS]
        counts = {"tokens": token_count(int(tokens)) if tokens.isdecimal() else 0}
        counts["truncated"] = truncated
        values = check_length(answer.value, len(strings), "rows")
        if self.sparse:
            return ServerRows(None, sparse_rows(values), counts)
        return ServerRows(dense_rows(values), None, counts)

    def name_terms(self, terms: Sequence[int]) -> list[str]:
        """Name sparse columns: each is decoded alone."""
        body = {"ids": [[term] for term in terms], "skip_special_tokens": False}
        names = check_length(self.client.ask("/decode", body).value, len(terms), "names")
        return [str(name) for name in names]

    def find_terms(self, words: Sequence[str]) -> list[list[int]]:
        """Return the columns of words, each read alone."""
        body = {"inputs": list(words), "add_special_tokens": False}
        return [[token["id"] for token in tokens] for tokens in self._tokenize(body, len(words))]

    def _count_long(self, strings: Sequence[str], role: Role, stopped: Event) -> int:
        body = {"inputs": list(strings), "add_special_tokens": True, **self._named_prompt(role)}
        tokenized = self._tokenize(body, len(strings), stopped)
        return sum(len(tokens) > self._most_tokens for tokens in tokenized)

    def _tokenize(
        self, body: dict[str, Any], texts: int, stopped: Event | None = None
    ) -> list[Any]:
        answer = check_length(self.client.ask("/tokenize", body, stopped).value, texts, "tokens")
        for tokens in answer:
            if not isinstance(tokens, list) or not all(
                isinstance(token, dict) and type(token.get("id")) is int for token in tokens
            ):
                raise ServerError(f"{self.client.address}/tokenize gave no tokens of a text")
        return answer

    def _named_prompt(self, role: Role) -> dict[str, str]:
        name = self._variant.prompt_name(role is Role.QUERY)
        return {"prompt_name": name} if name else {}


def _count(info: dict[str, Any], name: str) -> int:
    value = info.get(name)
    return value if type(value) is int and value > 0 else 0
