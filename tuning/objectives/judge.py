"""A pairwise judge in place of judgements: which of two lists of texts answers a query better?

After SPO (Xiang et al., EMNLP 2025), as an objective. Each pair is shown in both orders, so that
a judge who likes what comes first says nothing.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import Protocol
from weakref import WeakKeyDictionary

import numpy as np

from embedder.files.config_file import read_toml
from embedder.inputs.conversation import Turn
from embedder.models.chat_client import Chat, byte_bound, counted_answer
from embedder.prompts.prompt import Prompt
from index.folder import Index
from retrieval.run import Run, ranked
from tuning.search.budget import Cost
from tuning.search.types import Failure, Prepares, Scores

SHOWN = 5  # texts of a list
WORDS, CHARACTERS = 60, 400  # of a text, at most
MOST_TOKENS = 4
TIE = 0.5
LONGEST = ["\U0001f375" * CHARACTERS] * SHOWN  # of four bytes each: of texts that nobody knows
_KNOWN: WeakKeyDictionary[Index, list[str]] = WeakKeyDictionary()  # index -> its longest texts
_ANSWER = re.compile(r"\W*(?:(?:answer|list|is)\W+)*([AB])\W*", re.IGNORECASE)
_SLOTS = ("{query}", "{first}", "{second}")
_SLOT = re.compile("|".join(map(re.escape, _SLOTS)))
QUESTIONS = Path(__file__).with_suffix(".toml")


FindLists = Callable[[Prompt, Sequence[str]], Mapping[str, Sequence[str]]]
"""Prompt and query ids -> the texts that each query finds, the best first."""


class Searches(Protocol):
    """An objective that searches an index."""

    def run(self, prompt: Prompt, query_ids: Sequence[str]) -> Run:
        """Search for queries under a prompt."""
        ...

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Tell what that takes."""
        ...


@dataclass(frozen=True, slots=True)
class SearchedLists:
    """The texts that queries find in an index, and what finding them takes.

    Attributes:
        objective: searches.
        index: holds the texts.
    """

    objective: Searches
    index: Index

    def __call__(self, prompt: Prompt, query_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return the SHOWN best texts of each query."""
        run = self.objective.run(prompt, query_ids)
        return {
            query: [self.index.document(one).content for one, _ in ranked(run[query])[:SHOWN]]
            for query in query_ids
        }


class Judge:
    """Scores of prompts against an incumbent: 1 where it is preferred, 0 where the other is."""

    def __init__(
        self,
        chat: Chat,
        queries: Mapping[str, str],
        lists: FindLists,
        incumbent: Prompt,
        seed: int = 0,
    ) -> None:
        """Take the chat model, the queries, how they are searched, and the prompt to beat."""
        self.chat, self._queries, self._lists = chat, queries, lists
        self._incumbent, self._seed = incumbent, seed
        self._used = Cost()

    tells_failures = False

    def __call__(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Scores:
        """Return (prompts, queries) of 0, .25, .5, .75 or 1; two equal lists are a tie unasked."""
        self._used = self._searching(prompts, query_ids)
        if all(prompt == self._incumbent for prompt in prompts):
            return np.full((len(prompts), len(query_ids)), TIE)
        base = self._lists(self._incumbent, query_ids)
        return np.array(
            [
                [self.prefer(self._queries[one], base[one], lists[one]) for one in query_ids]
                for lists in (self._lists(prompt, query_ids) for prompt in prompts)
            ]
        )

    def cost(self, prompt: Prompt, query_ids: Sequence[str]) -> Cost:
        """Bound it: searching with both prompts, and asking about each query in both orders.

        Nothing but evaluations for the incumbent, which nobody is asked about.
        """
        cost = self._searching([prompt], query_ids)
        return cost if prompt == self._incumbent else cost + self.asking(query_ids)

    def asking(self, query_ids: Sequence[str]) -> Cost:
        """Return what asking about one pair of lists of each query takes at most."""
        lists = self._lists
        longest = longest_of(lists.index) if isinstance(lists, SearchedLists) else LONGEST
        return asking([self._queries[query] for query in query_ids], longest)

    def used(self) -> Cost:
        """Return what the last call took: equal lists are not asked about."""
        return self._used

    def _searching(self, prompts: Sequence[Prompt], query_ids: Sequence[str]) -> Cost:
        others = [prompt for prompt in prompts if prompt != self._incumbent]
        lists, tokens = self._lists, 0
        if others and isinstance(lists, SearchedLists):
            searched = [self._incumbent, *prompts]
            tokens = sum(lists.objective.cost(one, query_ids).tokens for one in searched)
        return Cost(tokens=tokens, evaluations=len(prompts) * len(query_ids))

    def preparation(self, prompt: Prompt) -> tuple[str, Cost]:
        """Return what finding lists under a prompt needs read, and what that takes."""
        lists = self._lists
        if isinstance(lists, SearchedLists) and isinstance(lists.objective, Prepares):
            return lists.objective.preparation(prompt)
        return "", Cost()

    def failures(self, prompt: Prompt, query_ids: Sequence[str]) -> list[Failure]:
        """Return none: nobody knows what should have been found."""
        return []

    def prefer(self, query: str, base: Sequence[str], challenger: Sequence[str]) -> float:
        """Return how much the challenger's texts are preferred to the base's: 0..1.

        Both orders are asked; a judge that names the same place twice says nothing.
        """
        base, challenger = base[:SHOWN], challenger[:SHOWN]
        if list(base) == list(challenger):
            return TIE
        second = self._compare(query, base, challenger)  # how much B, the challenger, is preferred
        first = 1 - self._compare(query, challenger, base)
        return (second + first) / 2

    def _compare(self, query: str, first: Sequence[str], second: Sequence[str]) -> float:
        """Return 1 where the judge says B, 0 for A, TIE for anything else."""
        turns = _question(query, first, second)
        answer = counted_answer(self.chat, turns, self._seed, MOST_TOKENS)
        self._used += Cost(calls=1, chat_tokens=answer.tokens)
        letter = _ANSWER.fullmatch(answer.text)
        return float(letter[1] in "bB") if letter else TIE


def asking(queries: Sequence[str], longest: Sequence[str]) -> Cost:
    """Return what asking about one pair of lists of each query takes at most, in both orders.

    A token for each byte, whichever the model: which texts are shown, nobody knows yet, and one of
    fewer bytes may be cut into more tokens.

    Args:
        queries: texts.
        longest: the SHOWN texts of most bytes that can be shown.
    """
    questions = [_question(query, longest, longest) for query in queries]
    tokens = sum(byte_bound(turns, MOST_TOKENS) for turns in questions)
    return Cost(calls=2 * len(questions), chat_tokens=2 * tokens)


def longest_of(index: Index) -> list[str]:
    """Return the SHOWN texts of an index that are most bytes as they are shown; read once."""
    if index not in _KNOWN:
        _KNOWN[index] = longest_shown(document.content for document in index.stream())
    return _KNOWN[index]


def longest_shown(texts: Iterable[str]) -> list[str]:
    """Return the SHOWN texts that are most bytes as they are shown."""
    return nlargest(SHOWN, map(_shown, texts), key=_size)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def _question(query: str, first: Sequence[str], second: Sequence[str]) -> list[Turn]:
    lists = ("\n".join(f"- {_shown(text)}" for text in texts) for texts in (first, second))
    question = read_toml(QUESTIONS)["compare"].strip()
    texts = dict(zip(_SLOTS, (query, *lists), strict=True))
    return [Turn("user", _SLOT.sub(lambda slot: texts[slot[0]], question))]


def _shown(text: str) -> str:
    return " ".join(text.split()[:WORDS])[:CHARACTERS]
