"""A pairwise judge in place of judgements: which of two lists of texts answers a query better?

After SPO (Xiang et al., EMNLP 2025), as an objective. Each pair is shown in both orders, so that
a judge who likes what comes first says nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from embedder.files.config_file import read_toml
from embedder.inputs.conversation import Turn
from embedder.models.chat_client import Chat
from embedder.prompts.prompt import Prompt
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

SHOWN = 5  # texts of a list
WORDS = 60  # of a text
MOST_TOKENS = 4
TIE = 0.5
_ANSWER = re.compile(r"\W*(?:(?:answer|list|is)\W+)*([AB])\W*", re.IGNORECASE)
QUESTIONS = Path(__file__).with_suffix(".toml")

Lists = Callable[[Prompt, Sequence[str]], Mapping[str, Sequence[str]]]
"""Prompt and query ids -> the texts that each query finds, the best first."""


class Judge:
    """Scores of prompts against an incumbent: 1 where it is preferred, 0 where the other is."""

    def __init__(
        self, chat: Chat, queries: Mapping[str, str], lists: Lists, incumbent: Prompt, seed: int = 0
    ) -> None:
        """Take the chat model, the queries, how they are searched, and the prompt to beat."""
        self._chat, self._queries, self._lists = chat, queries, lists
        self._incumbent, self._seed = incumbent, seed

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) of 0, .25, .5, .75 or 1; two equal lists are a tie unasked."""
        base = self._lists(self._incumbent, query_ids)
        return np.array(
            [
                [self._preferred(query, base[query], lists[query]) for query in query_ids]
                for lists in (self._lists(prompt, query_ids) for prompt in prompts)
            ]
        )

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Two calls a query at most, one for each order."""
        return Cost(calls=2 * len(query_ids), evaluations=len(query_ids))

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none: nobody knows what should have been found."""
        return []

    def _preferred(self, query: str, base: Sequence[str], challenger: Sequence[str]) -> float:
        base, challenger = base[:SHOWN], challenger[:SHOWN]
        if list(base) == list(challenger):
            return TIE
        second = self._compare(query, base, challenger)  # how much B, the challenger, is preferred
        first = 1 - self._compare(query, challenger, base)
        return (second + first) / 2

    def _compare(self, query: str, first: Sequence[str], second: Sequence[str]) -> float:
        """Return 1 where the judge says B, 0 for A, TIE for anything else."""
        question = read_toml(QUESTIONS)["compare"].strip().replace("{query}", self._queries[query])
        for slot, texts in (("{first}", first), ("{second}", second)):
            listing = "\n".join(f"- {' '.join(text.split()[:WORDS])}" for text in texts)
            question = question.replace(slot, listing)
        answer = self._chat.answer([Turn("user", question)], self._seed, MOST_TOKENS)
        letter = _ANSWER.fullmatch(answer)
        return float(letter[1] in "bB") if letter else TIE
