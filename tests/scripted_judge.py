"""A chat model that judges lists by what it was told, for tests of tuning without judgements."""

import re
from collections.abc import Mapping, Sequence

from embedder.inputs.conversation import Turn


class Scripted:
    """A judge that prefers the list with the answer nearer to its head.

    Attributes:
        kind: "better"; "worse" prefers the other one, and "first" says List A always.
        answers: query -> beginning of the text that answers it; of others, whose words are made
            of a text, the text with the most of these words does.
        calls: questions so far.
    """

    name = "scripted"

    def __init__(self, kind: str = "better", answers: Mapping[str, str] | None = None) -> None:
        self.kind, self.answers, self.calls = kind, answers or {}, 0

    def answer(self, turns: Sequence[Turn], seed: int, most_tokens: int) -> str:
        """Say A, B or tie."""
        self.calls += 1
        query, lists = turns[-1].text.split("List A:")
        query = query.removeprefix("Query: ").strip()
        first, second = (self._value(query, part) for part in lists.split("List B:"))
        if self.kind == "first" or first == second:
            return "A" if self.kind == "first" else "tie"
        return "A" if (first > second) == (self.kind == "better") else "B"

    def _value(self, query: str, listing: str) -> float:
        texts = [line[2:] for line in listing.splitlines() if line.startswith("- ")]
        if query in self.answers:
            found = [at for at, text in enumerate(texts) if text.startswith(self.answers[query])]
        else:
            words = set(query.split())
            found = [at for at, text in enumerate(texts) if words <= {*re.findall(r"\w+", text)}]
        return 1 / (1 + found[0]) if found else 0.0
