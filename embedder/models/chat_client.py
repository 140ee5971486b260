"""Chat models that propose or judge: loaded here, or behind an OpenAI-compatible address."""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlparse

from embedder.files.config_file import parse_json
from embedder.inputs.conversation import Turn
from embedder.models.generation import GenerationOptions, Generator

KEYS = ("LASTWORD_API_KEY", "OPENAI_API_KEY")
LOCAL = ("localhost", "127.0.0.1", "::1")
_SCHEMES = ("http://", "https://")
TIMEOUT = 120.0  # seconds
MOST_BYTES = 64 << 20  # of an answer
TEMPERATURE = 1.0


class Chat(Protocol):
    """Answers conversations."""

    @property
    def name(self) -> str:
        """Which model, for journals and reports."""
        ...

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return the answer to the last turn.

        Raises:
            ValueError: the model cannot be reached, or says nothing that can be read.
        """
        ...


class GeneratorChat:
    """A causal LM in this process."""

    def __init__(self, generator: Generator, name: str) -> None:
        self._generator, self.name = generator, name

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return the answer; the same seed gives the same."""
        options = GenerationOptions(max_new_tokens=most_tokens, temperature=TEMPERATURE, seed=seed)
        return self._generator.generate([turns], options)[0]


class AddressChat:
    """A model behind `POST ADDRESS/chat/completions`, as OpenAI, vLLM, llama.cpp and others serve.

    The key is read from LASTWORD_API_KEY or OPENAI_API_KEY and goes nowhere but to the address.
    """

    def __init__(self, address: str, model: str = "", timeout: float = TIMEOUT) -> None:
        """Take an address such as https://api.example.com/v1.

        Raises:
            ValueError: it is no address, or neither https nor this machine's.
        """
        parts = urlparse(address)
        if parts.username or parts.password or parts.query or parts.fragment:
            # Not repeated in the message: names and messages end up in journals and logs.
            raise ValueError(
                "a chat address holds no user, password, query or fragment; give a key by "
                f"the environment variable {KEYS[0]}"
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a chat address is like http://localhost:8000/v1; got {address!r}")
        if parts.scheme == "http" and parts.hostname not in LOCAL:
            raise ValueError(
                f"{address} is neither https nor this machine's: a key and texts would go over "
                "the network for all to read"
            )
        self.name = f"{model or 'default'} at {address}"
        self._address, self._model, self._timeout = address.rstrip("/"), model, timeout
        ways: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if parts.hostname in LOCAL:  # what is meant for this machine does not go through a proxy
            ways.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*ways)

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return the first choice."""
        body: dict[str, Any] = {
            "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
            "seed": seed,
            "max_tokens": most_tokens,
            "temperature": TEMPERATURE,
        }
        if self._model:
            body["model"] = self._model
        key = next((os.environ[name] for name in KEYS if os.environ.get(name)), "")
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {key}"} if key else {}
        request = urllib.request.Request(
            f"{self._address}/chat/completions", json.dumps(body).encode(), headers
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                answer = parse_json(response.read(MOST_BYTES), "its answer", finite=False)
        except urllib.error.HTTPError as error:
            raise ValueError(f"{self._address} answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"{self._address} cannot be asked: {reason}") from error
        try:
            text = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(f"{self._address} gave no answer: {str(answer)[:200]}") from error
        return text if isinstance(text, str) else ""  # null where thinking took all tokens


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would take the key along to wherever it leads."""

    def redirect_request(self, *_: object) -> None:
        """Make no other request, so that the redirect becomes an error with its code."""


def open_chat(named: str) -> Chat:
    """Open a chat model: a name or folder of a causal LM, or ADDRESS, or MODEL@ADDRESS."""
    if named.startswith(_SCHEMES):
        return AddressChat(named)
    model, _, address = named.partition("@")
    if address.startswith(_SCHEMES):
        return AddressChat(address, model)
    return GeneratorChat(Generator.load(named), named)
