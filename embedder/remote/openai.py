"""OpenAI's embeddings interface, as OpenAI, vLLM, llama.cpp, Ollama and others serve it."""

from collections.abc import Sequence
from threading import Event
from typing import Any

import numpy as np

from embedder.checkpoints.variant import ModelVariant
from embedder.remote.answers import ServerRows, check_length, dense_rows, token_count
from embedder.remote.http_client import (
    JsonClient,
    RefusedRequestError,
    ServerAnswer,
    ServerError,
)
from embedder.role import Role

KEYS = ("LASTWORD_API_KEY", "OPENAI_API_KEY")
_UNKNOWN_FIELD = (400, 422)
_ALIKE = 1e-4  # of numbers of unit rows; half precision beside other texts differs by less


class OpenAIServer:
    """One model of a server of `POST ADDRESS/embeddings`.

    Rows are asked for in base64, a quarter as long as numbers in JSON; where a server refuses
    that, as numbers.

    Attributes:
        sparse: never.
        facts: the model as the server names it, for a fingerprint.
        most_texts: of one request.
        most_requests: at once.

    Raises:
        ServerError: it is not there, or has no such model.
        ValueError: it passes over the names of prompts.
    """

    sparse = False
    most_texts = most_requests = 2048

    def __init__(self, client: JsonClient, model: str, variant: ModelVariant) -> None:
        variant.check("a model behind OpenAI's interface", ("truncate_dim", "prompt_names"))
        self.client, self._variant = client, variant
        self._body: dict[str, Any] = {"model": model, "encoding_format": "base64"}
        if variant.truncate_dim:
            self._body["dimensions"] = variant.truncate_dim
        try:
            answer = self._ask(["a text"], Role.DOCUMENT, None)
        except RefusedRequestError as refusal:
            if refusal.status not in _UNKNOWN_FIELD:
                raise
            self._body["encoding_format"] = "float"
            answer = self._ask(["a text"], Role.DOCUMENT, None)
        own = _model_of(answer.value)
        self.facts = {"kind": "openai", "model": own or model}
        if len(set(variant.prompt_names)) > 1:
            self._check_names_heeded()

    def embed(
        self, strings: Sequence[str], role: Role, keep_end: bool, stopped: Event
    ) -> ServerRows:
        """Embed strings in order; see `TeiServer.embed`. One that is too long is refused."""
        answer = self._ask(strings, role, stopped).value
        answer = answer if isinstance(answer, dict) else {}
        if (_model_of(answer) or self.facts["model"]) != self.facts["model"]:
            raise ServerError(
                f"{self.client.address} began with model {self.facts['model']!r}, and answers by "
                f"{_model_of(answer)!r} now"
            )
        items = check_length(answer.get("data"), len(strings), "data")
        rows: list[Any] = [None] * len(items)
        for item in items:
            item = item if isinstance(item, dict) else {}
            place = item.get("index")
            if type(place) is not int or not 0 <= place < len(rows) or rows[place] is not None:
                raise ValueError(f"expected each index from 0 to {len(rows) - 1} once in data")
            rows[place] = item.get("embedding")
        usage = answer.get("usage")
        tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
        return ServerRows(dense_rows(rows), None, {"tokens": token_count(tokens)})

    def _check_names_heeded(self) -> None:
        """Refuse a server that passes over names of prompts, which are no part of the interface.

        Raises:
            ValueError: it reads a text alike by both.
        """
        query, document = (
            self.embed(["a text"], role, False, Event()).dense
            for role in (Role.QUERY, Role.DOCUMENT)
        )
        assert query is not None and document is not None, self.facts
        if np.allclose(query, document, rtol=0, atol=_ALIKE):
            names = " and ".join(self._variant.prompt_names)
            raise ValueError(
                f"{self.client.address} reads a text alike by the prompt names {names}, and so "
                "passes over them; give it wordings instead: --prompt FILE.toml"
            )

    def _ask(self, strings: Sequence[str], role: Role, stopped: Event | None) -> ServerAnswer:
        name = self._variant.prompt_name(role is Role.QUERY)
        body = self._body | {"input": list(strings)} | ({"prompt_name": name} if name else {})
        return self.client.ask("/embeddings", body, stopped)


def _model_of(answer: object) -> str:
    """Return the model that an answer says it is of, "" where it says none."""
    own = answer.get("model") if isinstance(answer, dict) else None
    return own if isinstance(own, str) else ""
