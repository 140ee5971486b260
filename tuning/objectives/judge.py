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
from embedder.models.chat_client import Chat, counted_answer, token_bound
from embedder.prompts.prompt import Prompt
from tuning.search.budget import Cost
from tuning.search.types import Failure, Scores

SHOWN = 5  # texts of a list
WORDS, CHARACTERS = 60, 400  # of a text, at most
MOST_TOKENS = 4
TIE = 0.5
_ANSWER = re.compile(r"\W*(?:(?:answer|list|is)\W+)*([AB])\W*", re.IGNORECASE)
_SLOTS = ("{query}", "{first}", "{second}")
_SLOT = re.compile("|".join(map(re.escape, _SLOTS)))
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
        self._used = Cost()

    tells_failures = False

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) of 0, .25, .5, .75 or 1; two equal lists are a tie unasked."""
        self._used = Cost(evaluations=len(prompts) * len(query_ids))
        base = self._lists(self._incumbent, query_ids)
        return np.array(
            [
                [self._preferred(query, base[query], lists[query]) for query in query_ids]
                for lists in (self._lists(prompt, query_ids) for prompt in prompts)
            ]
        )

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Bound it: two calls a query, one for each order, with the longest texts."""
        longest = ["\U0001f375" * CHARACTERS] * SHOWN  # of four bytes each
        questions = [self._question(query, longest, longest) for query in query_ids]
        tokens = sum(token_bound(self._chat, turns, MOST_TOKENS) for turns in questions)
        return Cost(calls=2 * len(query_ids), evaluations=len(query_ids), chat_tokens=2 * tokens)

    def used(self) -> Cost:
        """Return what the last call took: equal lists are not asked about."""
        return self._used

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
        turns = self._question(query, first, second)
        answer = counted_answer(self._chat, turns, self._seed, MOST_TOKENS)
        self._used += Cost(calls=1, chat_tokens=answer.tokens)
        letter = _ANSWER.fullmatch(answer.text)
        return float(letter[1] in "bB") if letter else TIE

    def _question(self, query: str, first: Sequence[str], second: Sequence[str]) -> list[Turn]:
        lists = ("\n".join(f"- {_shown(text)}" for text in texts) for texts in (first, second))
        question = read_toml(QUESTIONS)["compare"].strip()
        texts = dict(zip(_SLOTS, (self._queries[query], *lists), strict=True))
        return [Turn("user", _SLOT.sub(lambda slot: texts[slot[0]], question))]


def _shown(text: str) -> str:
    return " ".join(text.split()[:WORDS])[:CHARACTERS]
