"""What signals without judgements are held against: a few judged queries, or open collections."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.specs import post_rules_of
from embedder.inputs.conversation import Turn
from embedder.models.chat_client import Chat, token_bound
from embedder.progress import telling_on
from embedder.prompts.prompt import Prompt
from embedder.types import Encoder, Role
from eval.data.collections import open_collection
from eval.synthesis.devset import (
    AHEAD,
    MOST_TOKENS,
    DevsetOptions,
    EmptyDevsetError,
    Maker,
    Style,
)
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions, ChannelOptions
from retrieval.pseudo_queries import TextSample
from tuning.objectives.index_objective import IndexObjective
from tuning.objectives.judge import Judge, SearchedLists, asking, longest_shown
from tuning.objectives.judged_queries import JudgedQueries
from tuning.objectives.metered_chat import MeteredChat
from tuning.objectives.prompt_encoder import fed_tokens
from tuning.search.budget import Cost
from tuning.search.journal import Settled
from tuning.search.space import key_of
from tuning.search.types import Objective, Once, Settles

OPEN = Path(__file__).parent.parent / "open_collections"
OPEN_NAMES = ("science", "banking")
MOST_QUERIES = 60  # made, and judged, of a place
JUDGED = 20  # queries on which a judge compares lists
JUDGE = "judge"
ASKED_TOKENS = 1000  # of the words around a text that a chat model makes a query of, at most
LEAST = 20  # made queries of an open collection, by which prompts can be ordered

Means = tuple[list[float], list[float]]
"""Of each prompt: by the signal, and by judgements."""


class Place(Protocol):
    """Queries that are judged, and the signal on the same documents."""

    @property
    def name(self) -> str:
        """For people."""
        ...

    def measure(self, prompts: Sequence[Prompt], once: Once) -> Means | None:
        """Return means of prompts by the signal and by judgements; None where it has no signal."""
        ...

    def cost(self, prompts: Sequence[Prompt]) -> Cost:
        """Return what `measure` takes at most; no chat model is asked for it."""
        ...

    def texts(self, prompts: int) -> int:
        """Return how many texts `measure` reads at most, for so many prompts."""
        ...


@dataclass(frozen=True, slots=True)
class MakeJudge:
    """Makes a judge of what an objective finds for its queries.

    Attributes:
        chat: the model that judges.
        incumbent: the prompt to beat.
        seed: of its answers.
    """

    chat: Chat
    incumbent: Prompt
    seed: int

    def __call__(self, objective: IndexObjective) -> Judge:
        """Return the judge."""
        lists = SearchedLists(objective, objective.index)
        return Judge(self.chat, objective.data.queries, lists, self.incumbent, self.seed)


def signal_of(objective: IndexObjective, judged: MakeJudge | None) -> tuple[Objective, list[str]]:
    """Return what scores prompts without judgements, and the queries that it does so on."""
    queries = list(objective.data.queries)
    if judged is None:
        return objective, queries[:MOST_QUERIES]
    return judged(objective), queries[:JUDGED]


def _mean(objective: Objective, prompt: Prompt, query_ids: Sequence[str]) -> float:
    return float(objective([prompt], query_ids).mean())


def _settled(value: Any, signal: Objective, besides: Cost) -> Any:  # noqa: ANN401 - JSON
    """Say what a judge's last scores took, which was charged for the longest answers."""
    return Settled(value, signal.used() + besides) if isinstance(signal, Settles) else value


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """A few queries of the index that somebody has judged.

    Attributes:
        signal: on the made queries.
        truth: on the judged ones.
        judge: compares lists of the judged queries, in place of the signal.
        name: for people.
    """

    signal: IndexObjective
    truth: IndexObjective
    judge: MakeJudge | None = None
    name: str = "your judged queries"

    def measure(self, prompts: Sequence[Prompt], once: Once) -> Means:
        """Return means of prompts by the signal and by judgements."""
        signal, made = self._compared
        asked = list(self.truth.data.queries)
        means = []
        for prompt in prompts:
            read = self.truth.cost(prompt, asked)
            work = lambda prompt=prompt, read=read: _settled(  # noqa: E731
                [_mean(signal, prompt, made), _mean(self.truth, prompt, asked)], signal, read
            )
            key = [self.name, key_of(prompt)]
            means.append(once("validity", key, self.cost([prompt]), work))
        return [one for one, _ in means], [one for _, one in means]

    def cost(self, prompts: Sequence[Prompt]) -> Cost:
        """Return what measuring prompts takes at most."""
        (signal, made), asked = self._compared, list(self.truth.data.queries)
        costs = (signal.cost(one, made) + self.truth.cost(one, asked) for one in prompts)
        return sum(costs, Cost())

    def texts(self, prompts: int) -> int:
        """Return how many texts are read, for so many prompts."""
        return prompts * (len(self._compared[1]) + len(self.truth.data.queries))

    @property
    def _compared(self) -> tuple[Objective, list[str]]:
        return signal_of(self.truth if self.judge else self.signal, self.judge)


@dataclass(frozen=True, slots=True)
class OpenCollection:
    """A small judged collection that comes along, read by the encoders of the index.

    Attributes:
        name: of its folder.
        tuned: the objective on the index that is tuned.
        encoders: channel -> encoder, of that index.
        style: in which queries are made.
        chat: that makes queries in style chat, or the judge's.
        judge: compares lists of the judged queries, in place of made ones.
    """

    name: str
    tuned: IndexObjective
    encoders: Mapping[str, Encoder]
    style: Style
    chat: Chat | None = None
    judge: MakeJudge | None = None

    def measure(self, prompts: Sequence[Prompt], once: Once) -> Means | None:
        """Return means of prompts by the signal and by judgements.

        None where its documents give no queries in the style, as titles where there are none.
        """
        signal = judged = self._judged()
        if self.judge is None:
            made = once("made", [self.name, self.style], self._asking(), self._made)
            if len(made["queries"]) < LEAST:
                return None
            signal = JudgedQueries(made["queries"], made["qrels"])
        read, asked = self._reading(prompts, (signal, judged)), self._judging(prompts, judged)
        key = [self.name, self.style if self.judge is None else JUDGE, [*map(key_of, prompts)]]
        work = lambda: self._means(prompts, (signal, judged), read)  # noqa: E731
        means = once("validity", key, read + asked, work)
        return means[0], means[1]

    def cost(self, prompts: Sequence[Prompt]) -> Cost:
        """Return what measuring prompts takes at most; in style chat, of queries as long as these.

        Made queries are made for it, unless a chat model writes them.
        """
        signal = judged = self._judged()
        if self.judge is None and self.chat is None:
            made = self._made()
            if len(made["queries"]) < LEAST:
                return Cost()
            signal = JudgedQueries(made["queries"], made["qrels"])
        read = self._reading(prompts, (signal, judged))
        asking = self._asking() if self.judge is None else Cost()
        return asking + read + self._judging(prompts, judged)

    def texts(self, prompts: int) -> int:
        """Return how many texts are read at most: documents once, queries for each prompt."""
        documents = sum(1 for _ in open_collection(OPEN / self.name, "dev").documents())
        return documents + prompts * 2 * MOST_QUERIES

    def _judged(self) -> JudgedQueries:
        collection = open_collection(OPEN / self.name, "dev")
        chosen = list(collection.queries())[:MOST_QUERIES]
        qrels = {query: collection.qrels()[query] for query in chosen}
        return JudgedQueries.of(collection.queries(), qrels)

    def _asking(self) -> Cost:
        """Return what making queries takes of a chat model at most."""
        if self.chat is None:
            return Cost()
        contents = [one.content for one in open_collection(OPEN / self.name, "dev").documents()]
        longest = Turn("user", max(contents, key=lambda text: len(text.encode())))
        calls = AHEAD * MOST_QUERIES
        tokens = token_bound(self.chat, [longest], MOST_TOKENS) + ASKED_TOKENS
        return Cost(calls=calls, chat_tokens=calls * tokens)

    def _made(self) -> Any:  # noqa: ANN401 - JSON
        """Make queries of the documents, which are found again by words alone."""
        chat = MeteredChat(self.chat) if self.chat is not None else None
        documents = open_collection(OPEN / self.name, "dev").documents()
        with tempfile.TemporaryDirectory() as folder:
            build_index(documents, {"bm25": BM25Encoder()}, folder, BuildOptions(passages=None))
            with Index.open(folder) as index:
                maker = Maker(index, DevsetOptions(MOST_QUERIES, self.style), chat)
                try:
                    devset = maker.devset()
                except EmptyDevsetError:
                    return {"queries": {}, "qrels": {}}
        made = {"queries": dict(devset.queries), "qrels": dict(devset.qrels)}
        return Settled(made, chat.used) if chat is not None else made

    def _reading(self, prompts: Sequence[Prompt], data: tuple[JudgedQueries, ...]) -> Cost:
        """Count the tokens of the documents, and of the queries in each prompt."""
        signal, judged = data
        contents = [one.content for one in open_collection(OPEN / self.name, "dev").documents()]
        cost = Cost(tokens=fed_tokens(self.tuned.encoder(prompts[0]), contents, Role.DOCUMENT))
        texts = [*judged.queries.values(), *([] if self.judge else signal.queries.values())]
        extra = self._pseudo_queries(contents)
        for prompt in prompts:
            read = fed_tokens(self.tuned.encoder(prompt), [*texts, *extra])
            cost += Cost(tokens=read, evaluations=len(texts))
        return cost

    def _judging(self, prompts: Sequence[Prompt], judged: JudgedQueries) -> Cost:
        """Bound what the judge takes: searching with all prompts, and asking about all but one."""
        if self.judge is None or self.chat is None:
            return Cost()
        compared = list(judged.queries.values())[:JUDGED]
        read = sum(fed_tokens(self.tuned.encoder(one), compared) for one in [prompts[0], *prompts])
        documents = open_collection(OPEN / self.name, "dev").documents()
        longest = longest_shown(document.content for document in documents)
        asked = [asking(compared, longest)] * (len(prompts) - 1)
        return sum(asked, Cost(tokens=read, evaluations=len(prompts) * len(compared)))

    def _pseudo_queries(self, contents: Sequence[str]) -> list[str]:
        """Return what is read for the mean of queries, where rows are post-processed."""
        rules = post_rules_of(self.encoders[self.tuned.tuned[0]])
        if rules is None:
            return []
        sample = TextSample(rules)
        sample.add(contents)
        return sample.queries()

    def _means(self, prompts: Sequence[Prompt], data: tuple[JudgedQueries, ...], read: Cost) -> Any:  # noqa: ANN401 - JSON
        """Index the documents for now, and score the prompts on both."""
        signal, judged = data
        documents = open_collection(OPEN / self.name, "dev").documents()
        specs = self.tuned.index.channels
        channels = {
            name: ChannelOptions(
                specs[name].kind, specs[name].factory and "Flat", specs[name].weighting
            )
            for name in self.encoders
        }
        with tempfile.TemporaryDirectory() as folder:
            options = BuildOptions(channels, on_empty="keep", passages=None)
            build_index(documents, self.encoders, folder, options, telling_on())
            with Index.open(folder) as index:
                truth, signals = (
                    IndexObjective(index, self.encoders, each, self.tuned.encoder)
                    for each in (judged, signal)
                )
                score, asked = signal_of(signals, self.judge)
                told = score(prompts, asked).mean(axis=1).tolist()
                known = truth(prompts, list(judged.queries)).mean(axis=1).tolist()
                return _settled([told, known], score, read)
