"""Chat models that propose or judge: loaded here, or behind an OpenAI-compatible address."""

from collections.abc import Sequence
from typing import Any, Protocol

from embedder.inputs.conversation import Turn
from embedder.models.generation import GenerationOptions, Generator
from embedder.remote.http_client import TIMEOUT, JsonClient, ServerError

KEYS = ("LASTWORD_API_KEY", "OPENAI_API_KEY")
_SCHEMES = ("http://", "https://")
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
        self._client = JsonClient(address, KEYS, timeout)
        self.name = f"{model or 'default'} at {address}"
        self._model = model

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
        try:
            answer = self._client.ask("/chat/completions", body).value
        except ServerError as error:
            raise ValueError(str(error)) from error
        try:
            text = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            address = self._client.address
            raise ValueError(f"{address} gave no answer: {str(answer)[:200]}") from error
        return text if isinstance(text, str) else ""  # null where thinking took all tokens


def open_chat(named: str) -> Chat:
    """Open a chat model: a name or folder of a causal LM, or ADDRESS, or MODEL@ADDRESS."""
    if named.startswith(_SCHEMES):
        return AddressChat(named)
    model, _, address = named.partition("@")
    if address.startswith(_SCHEMES):
        return AddressChat(address, model)
    return GeneratorChat(Generator.load(named), named)
