"""Ask a chat model for wordings, showing it what worked, what did not, and what went wrong.

Instructions are induced from pairs (APE, Zhou et al., ICLR 2023), then improved from a history of
the best and the worst with rounded scores (OPRO, Yang et al., ICLR 2024; IPO, Du et al., NeurIPS
2024) and from failures of a parent that is the best on some queries (GEPA, Agrawal et al., 2025).
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from embedder.files.config_file import read_toml
from embedder.inputs.conversation import Turn
from embedder.models.chat_client import Chat, counted_answer, token_bound
from embedder.prompts.prompt import Prompt
from embedder.prompts.template import SLOT
from tuning.search.budget import Cost
from tuning.search.journal import Settled
from tuning.search.space import Around, key_of
from tuning.search.types import Failure, Proposal, ProposerContext, Scored

QUESTIONS = Path(__file__).with_suffix(".toml")
RUN = 5  # words in a row that may not be a query's or a document's
SUBSETS, PAIRS = 4, 5  # of pairs to induce from, a call each; pairs in one
COUNT = 4  # wordings that a call asks for
SHOWN, NEWEST = 4, 2  # of the history: so many of the best and of the worst, and the newest
FAILURES = 4  # of the parent that are shown
STEPS = 12  # calls after the first ones, at most
RESTART = 6  # steps without a gain, after which the parent is drawn from all
TEXT_WORDS = 40  # of a text that are shown
MOST_TOKENS = 300  # of an answer
IN_VAIN = 4  # answers in a row with no wording to try, after which no more are asked for
_MARK = re.compile(r"(?:(?:[-*\u2022]|\d{1,2}[.)])(?:\s+|$))*")  # of an item in a list
_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class Llm:
    """Induces, then improves.

    Attributes:
        context: what it works with.
        chat: the chat model.
        name: "llm".
        rejected: why wordings of the chat model were not proposed -> how many.
    """

    context: ProposerContext
    chat: Chat
    name: str = "llm"
    rejected: Counter[str] = field(default_factory=Counter)
    _calls: int = 0
    _since: int = 0
    _results: dict[str, Scored] = field(default_factory=dict)
    _seen: set[tuple[str, ...]] = field(default_factory=set)
    _rng: np.random.Generator = field(init=False)

    _card: str | None = None

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng([self.context.seed, 71])

    def ask(self, n: int) -> list[Proposal]:
        """Ask once, and propose what can be used."""
        for _ in range(min(IN_VAIN, SUBSETS + STEPS - self._calls)):
            inducing = self._calls < SUBSETS
            parent = self._parent()
            answer = self._induced() if inducing else self._improved(parent)
            method = "induced from pairs" if inducing else "improved"
            lineage = () if inducing else (key_of(parent.proposal.prompt),)
            if proposals := [
                Proposal(self._prompt(words), self.name, method, lineage)
                for words in self._usable(answer)
            ]:
                return proposals
        return []

    def tell(self, results: Sequence[Scored]) -> None:
        """Remember what was raced to the end."""
        before = max((result.mean for result in self._results.values()), default=-1.0)
        for result in results:
            prompt = result.proposal.prompt
            several = len(prompt.forms[0].query) > 1 and prompt != self.context.space.default
            if result.finished and not several:
                self._results[key_of(result.proposal.prompt)] = result
        better = max((result.mean for result in self._results.values()), default=-1.0) > before
        self._since = 0 if better else self._since + 1

    def _parent(self) -> Scored:
        """Draw a prompt by the number of queries on which it is the best of all."""
        results = list(self._results.values())
        if self._since >= RESTART:
            self._since = 0
            return results[int(self._rng.integers(len(results)))]
        scores = np.array(
            [[result.scores.get(q, 0.0) for q in self.context.search] for result in results]
        )
        wins = (scores == scores.max(axis=0)).sum(axis=1).astype(float)
        return results[int(self._rng.choice(len(results), p=wins / wins.sum()))]

    def _induced(self) -> str:
        default = self.context.space.default
        failures = self._failures(default)
        order = self._rng.permutation(len(failures))[:PAIRS]
        pairs = "\n\n".join(
            f"query: {failures[at].query}\ntext: {self._cut(failures[at].answer)}" for at in order
        )
        return self._answer("induce", {"{collection}": self._collection(), "{pairs}": pairs})

    def _collection(self) -> str:
        """Describe the collection by some of its texts; and see what no wording may repeat."""
        if self._card is None:
            texts = self.context.card()
            lines = [f"- {self._cut(text)}" for text in texts]
            self._card = "\n".join(["Some texts of the collection:", "", *lines]) if lines else ""
            for text in (*texts, *self.context.texts()):
                self._seen |= _runs(text)
        return self._card

    def _improved(self, parent: Scored) -> str:
        ranked = sorted(self._results.values(), key=lambda result: -result.mean)
        new = [*self._results.values()][max(0, len(ranked) - NEWEST) :]
        chosen = [*ranked[:SHOWN], *ranked[-SHOWN:], *new]
        keys = {key_of(result.proposal.prompt) for result in chosen}
        history = "\n".join(
            f"{round(100 * result.mean)}: {self._wording(result)}"
            for result in ranked[::-1]
            if key_of(result.proposal.prompt) in keys
        )
        failures = self._failures(parent.proposal.prompt)[:FAILURES]
        examples = "\n\n".join(
            f"query: {failure.query}\nwanted: {self._cut(failure.answer)}\n"
            f"found: {self._cut(failure.mistake)}"
            for failure in failures
        )
        texts = {"{history}": history, "{parent}": self._wording(parent), "{failures}": examples}
        return self._answer("improve", texts)

    def _failures(self, prompt: Prompt) -> list[Failure]:
        """Return what a prompt got wrong, and note that none of it may be repeated."""
        failures = list(self.context.failures(prompt, self.context.search))
        for failure in failures:
            self._seen |= _runs(failure.query) | _runs(failure.answer) | _runs(failure.mistake)
        return failures

    def _answer(self, kind: str, texts: dict[str, str]) -> str:
        """Ask, once however often the run is taken up."""
        template = read_toml(QUESTIONS)[kind].strip()
        filled = {"{count}": str(COUNT), "{words}": str(self.context.space.most_words)}
        for slot, text in (filled | texts).items():
            template = template.replace(slot, text)
        question = template.replace("{{text}}", SLOT)
        seed = self.context.seed + self._calls
        self._calls += 1
        key = [self.chat.name, hashlib.sha256(question.encode()).hexdigest()[:16], seed]
        turns = [Turn("user", question)]
        most = Cost(calls=1, chat_tokens=token_bound(self.chat, turns, MOST_TOKENS))

        def work() -> Settled:
            answer = counted_answer(self.chat, turns, seed, MOST_TOKENS)
            return Settled(answer.text, Cost(calls=1, chat_tokens=answer.tokens))

        answer: str = self.context.once("chat", key, most, work)
        return answer

    def _usable(self, answer: str) -> list[Around]:
        """Read lines as wordings; a line without {text} goes to the front."""
        wordings: dict[Around, None] = {}
        for line in answer.splitlines():
            words = _bare(line)
            if not _WORD.search(words.replace(SLOT, "")):
                continue
            if len(wordings) == COUNT:
                self.rejected["more than were asked for"] += 1
            elif words.count(SLOT) > 1:
                self.rejected["shows the text twice"] += 1
            elif len(words.split()) > self.context.space.most_words:
                self.rejected["too long"] += 1
            elif self._leaks(words):
                self.rejected["repeats a query or a document"] += 1
            else:
                try:
                    wordings[self._around(words)] = None
                except ValueError:
                    self.rejected["holds another slot"] += 1
        return list(wordings)

    def _around(self, words: str) -> Around:
        if SLOT in words:
            before, after = words.split(SLOT)
            return Around(before, after)
        role = self.context.space.roles[0]
        own = self.context.space.around(self.context.space.default, role)
        return Around(f"{words} {own.before}", own.after)

    def _leaks(self, words: str) -> bool:
        return not self._seen.isdisjoint(_runs(words.replace(SLOT, " ")))

    def _prompt(self, words: Around) -> Prompt:
        space = self.context.space
        return space.reworded(space.default, dict.fromkeys(space.roles, words))

    def _wording(self, result: Scored) -> str:
        space = self.context.space
        around = space.around(result.proposal.prompt, space.roles[0])
        return f"{around.before}{SLOT}{around.after}"

    def _cut(self, text: str) -> str:
        return " ".join(text.split()[:TEXT_WORDS])


def _bare(line: str) -> str:
    """Return a line without the mark of an item, and without quotes around all of it."""
    words = line.strip()
    words = words[len(_MARK.match(words)[0]) :].strip()  # type: ignore[index]  # matches ""
    quoted = len(words) > 1 and words[0] == words[-1] == '"' and '"' not in words[1:-1]
    return words[1:-1].strip() if quoted else words


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}
