"""Chat models that propose or judge: loaded here, or behind an OpenAI-compatible address."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from embedder.checkpoints.hub import is_local_only
from embedder.checkpoints.named_models import model_place
from embedder.inputs.conversation import Turn
from embedder.models.generation import GenerationOptions, Generator
from embedder.remote.http_client import TIMEOUT, JsonClient, RefusedRequestError, ServerError

KEYS = ("LASTWORD_API_KEY", "OPENAI_API_KEY")
_SCHEMES = ("http://", "https://")
TEMPERATURE = 1.0  # of what writes
SUREST = 0.0  # temperature of what judges: no letter that it holds for less likely
TEMPLATE_TOKENS = 256  # that a chat template may put around turns, at most; ours take 4 to 40


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """An answer, and the tokens that were read and written for it."""

    text: str
    tokens: int


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


@runtime_checkable
class CountingChat(Chat, Protocol):
    """A chat model that knows how many tokens a question takes, its answer included."""

    def token_bound(self, turns: Sequence[Turn], most_tokens: int) -> int:
        """Return how many an answer of most_tokens takes at most, without asking."""
        ...

    def counted_answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> ChatAnswer:
        """Answer as `answer` does, and count."""
        ...


def token_bound(chat: Chat, turns: Sequence[Turn], most_tokens: int) -> int:
    """Return how many tokens a question takes at most, its answer included.

    Of a model whose tokenizer is elsewhere a token is taken for a byte: no tokenizer at hand makes
    more of them than that, but for what its chat template puts around the turns.
    """
    if isinstance(chat, CountingChat):
        return chat.token_bound(turns, most_tokens)
    return byte_bound(turns, most_tokens)


def byte_bound(turns: Sequence[Turn], most_tokens: int) -> int:
    """Take a token for each byte of the turns, what a template adds, and the longest answer."""
    size = sum(len(turn.text.encode("utf-8", "replace")) for turn in turns)
    return size + TEMPLATE_TOKENS + most_tokens


def counted_answer(chat: Chat, turns: Sequence[Turn], seed: int, most_tokens: int) -> ChatAnswer:
    """Ask, and count; where nobody counts it is the bound."""
    if isinstance(chat, CountingChat):
        return chat.counted_answer(turns, seed, most_tokens)
    return ChatAnswer(chat.answer(turns, seed, most_tokens), token_bound(chat, turns, most_tokens))


class GeneratorChat:
    """A causal LM in this process."""

    def __init__(self, generator: Generator, name: str, temperature: float = TEMPERATURE) -> None:
        self._generator, self.name, self._temperature = generator, name, temperature

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return the answer; the same seed gives the same."""
        return self.counted_answer(turns, seed, most_tokens).text

    def token_bound(self, turns: Sequence[Turn], most_tokens: int) -> int:
        """Count the question, and take the longest answer."""
        return self._generator.count_tokens(turns) + most_tokens

    def counted_answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> ChatAnswer:
        """Return the answer, and the tokens of both."""
        options = GenerationOptions(most_tokens, self._temperature, seed=seed)
        answer = self._generator.answers([turns], options)[0]
        return ChatAnswer(answer.text, self._generator.count_tokens(turns) + answer.tokens)


class AddressChat:
    """A model behind `POST ADDRESS/chat/completions`, as OpenAI, vLLM, llama.cpp and others serve.

    The key is read from LASTWORD_API_KEY or OPENAI_API_KEY and goes nowhere but to the address.
    """

    def __init__(
        self,
        address: str,
        model: str = "",
        timeout: float = TIMEOUT,
        temperature: float | None = TEMPERATURE,
    ) -> None:
        """Take an address such as https://api.example.com/v1.

        A model that takes no other temperature than its own is asked without one.

        Raises:
            ValueError: it is no address, or neither https nor this machine's.
        """
        self._client = JsonClient(address, KEYS, timeout)
        self.name = f"{model or 'default'} at {address}"
        self._model, self._temperature = model, temperature

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return the first choice."""
        return self._ask(turns, seed, most_tokens).text

    def token_bound(self, turns: Sequence[Turn], most_tokens: int) -> int:
        """Take a token for each byte of the question, and the longest answer."""
        return byte_bound(turns, most_tokens)

    def counted_answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> ChatAnswer:
        """Return the first choice, and the tokens that the server counted; else the bound."""
        return self._ask(turns, seed, most_tokens)

    def _ask(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> ChatAnswer:
        body: dict[str, Any] = {
            "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
            "seed": seed,
            "max_tokens": most_tokens,
        }
        if self._model:
            body["model"] = self._model
        try:
            answer = self._answer_to(body)
        except ServerError as error:
            raise ValueError(str(error)) from error
        try:
            text = answer["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError) as error:
            address = self._client.address
            raise ValueError(f"{address} gave no answer: {str(answer)[:200]}") from error
        bound = self.token_bound(turns, most_tokens)
        usage = answer.get("usage")
        used = usage.get("total_tokens") if isinstance(usage, dict) else None
        if type(used) is not int or not 0 <= used <= bound:
            used = bound
        # The text is null where thinking took all tokens.
        return ChatAnswer(text if isinstance(text, str) else "", used)

    def _answer_to(self, body: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        warmth = {} if self._temperature is None else {"temperature": self._temperature}
        try:
            return self._client.ask("/chat/completions", body | warmth).value
        except RefusedRequestError as error:
            if not warmth or "temperature" not in str(error):
                raise
            self._temperature = None
            return self._client.ask("/chat/completions", body).value


def open_chat(named: str, temperature: float = TEMPERATURE) -> Chat:
    """Open a chat model: a name or folder of a causal LM, or ADDRESS, or MODEL@ADDRESS."""
    there = _address_chat(named, temperature)
    return there or GeneratorChat(Generator.load(named), named, temperature)


def check_chat(named: str) -> None:
    """Refuse what `open_chat` could not open, without loading or asking a model.

    Raises:
        ValueError: it is no address, and there is no such model.
    """
    if _address_chat(named) is None:
        is_local_only(model_place(named))


def _address_chat(named: str, temperature: float = TEMPERATURE) -> AddressChat | None:
    model, _, address = ("", "", named) if named.startswith(_SCHEMES) else named.partition("@")
    if not address.startswith(_SCHEMES):
        return None
    return AddressChat(address, model, temperature=temperature)
