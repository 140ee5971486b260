"""A chat model that may be asked so often and no more, whoever asks it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from embedder.inputs.conversation import Turn
from embedder.models.chat_client import Chat, counted_answer, token_bound
from tuning.search.budget import Budget, Cost, Meter


@dataclass(slots=True)
class MeteredChat:
    """A chat model behind a meter of its own.

    Attributes:
        chat: the model.
        meter: of its calls and chat tokens.
    """

    chat: Chat
    meter: Meter = field(default_factory=lambda: Meter(Budget()))

    @property
    def name(self) -> str:
        """Which model."""
        return self.chat.name

    @property
    def used(self) -> Cost:
        """What was asked and answered so far."""
        return self.meter.spent

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Return the answer to the last turn.

        Raises:
            SpentError: the longest answer does not fit into the meter's budget.
            ValueError: as the model does.
        """
        most = Cost(calls=1, chat_tokens=token_bound(self.chat, turns, most_tokens))
        self.meter.charge(most)
        answer = counted_answer(self.chat, turns, seed, most_tokens)
        self.meter.settle(most, Cost(calls=1, chat_tokens=answer.tokens))
        return answer.text
