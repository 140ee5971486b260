"""Queries made from documents, for collections that nobody has judged.

A query counts if its own document is found by words alone: a filter by the model that is tuned
would keep what its prompt already solves (round trip of Promptagator, Dai et al., ICLR 2023, with
another retriever).
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import numpy as np

from embedder.encoders.bm25 import BM25Encoder
from embedder.files.config_file import read_toml
from embedder.inputs.conversation import Turn
from embedder.models.chat_client import Chat
from embedder.text.sentences import split_sentences
from embedder.types import Encoder, Role
from eval.data.qrels import Qrels
from index.documents import Document
from index.folder import Index
from retrieval.build import build_index
from retrieval.options import BuildOptions
from retrieval.run import cut, to_run

Style = Literal["title", "cloze", "chat", "auto"]
PROMPTS = Path(__file__).with_suffix(".toml")
ROUND_TRIP_DEPTH = 5  # ranks within which the round trip must find the document
COPIED = 8  # words in a row
CLOZE_WORDS = 12
EXCERPT_WORDS = 120
MOST_TOKENS = 40
AHEAD = 4  # documents that are tried for each query
TOPICS = 20  # at most, by which documents are drawn
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class DevsetOptions:
    """How queries are made.

    Attributes:
        queries: number of queries to make.
        style: "title" takes titles as queries, "cloze" the content words of a sentence, "chat"
            asks a chat model; "auto" is for `make_devset`, which tries them.
        seed: of the draws.
        examples: (text, query) shown to the chat model.

    >>> few = lw.DevsetOptions(queries=50, style="cloze")
    >>> few.queries, few.seed
    (50, 0)
    """

    queries: int = 200
    style: Style = "title"
    seed: int = 0
    examples: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.queries < 1 or self.style not in get_args(Style):
            raise ValueError(f"a devset has queries, in style {get_args(Style)}; got {self}")


class EmptyDevsetError(ValueError):
    """Not one query was kept."""


@dataclass(frozen=True, slots=True)
class Devset:
    """Queries, each with the document that it was made from.

    Attributes:
        queries: query id -> text.
        qrels: query id -> its document, with a gain of 1.
        counts: queries made, and dropped by reason.
    """

    queries: Mapping[str, str]
    qrels: Qrels
    counts: Mapping[str, int]


@dataclass(slots=True)
class Maker:
    """Makes queries from the documents of an index.

    Attributes:
        index: opened.
        options: of the queries.
        chat: for style "chat".
        words: analyses text for the round trip; the encoder of the bm25 channel where the index
            has one.
        counts: queries made, and dropped by reason.
    """

    index: Index
    options: DevsetOptions
    chat: Chat | None = None
    words: Encoder = field(default_factory=BM25Encoder)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.options.style == "auto":
            raise ValueError("a Maker has one style; make_devset tries them")
        if not self.index.documents:
            raise ValueError(f"{self.index.path} holds no documents to make queries from")
        spec = self.index.channels.get("bm25")
        if spec is not None and spec.fingerprint != self.words.fingerprint:
            raise ValueError(
                f"the bm25 channel of {self.index.path} analyses text otherwise than what checks "
                f"the queries: expected {spec.fingerprint}, got {self.words.fingerprint}; give "
                "the encoder of that channel"
            )
        if (self.options.style == "chat") != (self.chat is not None):
            raise ValueError("a chat model goes with style chat, and with no other")

    def devset(self, progress: Callable[[int], None] = lambda done: None) -> Devset:
        """Draw documents, make a query of each, and keep those that are good.

        Raises:
            EmptyDevsetError: not one query was kept.
        """
        queries: dict[str, str] = {}
        qrels: dict[str, dict[str, int]] = {}
        seen: set[str] = set()
        with self._by_words() as checking:
            for document in self._drawn():
                text = self._query(document)
                if text is None or not self._good(text, document, seen, checking):
                    continue
                seen.add(text.lower())
                name = f"made-{len(queries) + 1}"
                queries[name], qrels[name] = text, {document.id: 1}
                progress(len(queries))
                if len(queries) == self.options.queries:
                    break
        if not queries:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.counts.items())
            raise EmptyDevsetError(f"no query was kept ({reasons}); try another --style")
        self.counts["kept"] = len(queries)
        return Devset(queries, qrels, dict(self.counts))

    def _drawn(self) -> Iterator[Document]:
        """Yield documents in a random order, in which topics come up evenly, as often as they are.

        Topics are k-means clusters of dense vectors; without these the order is just random.
        """
        rng = np.random.default_rng([self.options.seed, 91])
        ids = self.index.ids()
        drawn = [ids[at] for at in rng.permutation(len(ids))[: AHEAD * self.options.queries]]
        for at in _evenly(self._topics(drawn), rng):
            yield self.index.document(drawn[at])

    def _topics(self, ids: Sequence[str]) -> list[int]:
        """Return the topic of each document; all are of one where there are no dense vectors."""
        spec = self.index.channels.get("dense")
        topics = min(TOPICS, len(ids) // AHEAD)
        if spec is None or spec.kind != "dense" or topics < 2:
            return [0] * len(ids)
        from sklearn.cluster import KMeans
        from threadpoolctl import threadpool_limits

        rows = [self.index.vectors("dense", document_id) for document_id in ids]
        means = np.array(
            [row.mean(axis=0) if len(row) else np.zeros(spec.dim or 0) for row in rows]
        )
        topics = min(topics, len(np.unique(means, axis=0)))
        with threadpool_limits(1):  # sums in another order would draw other documents
            fitted = KMeans(topics, n_init=1, random_state=self.options.seed).fit(means)
        return [int(topic) for topic in fitted.labels_]

    @contextmanager
    def _by_words(self) -> Iterator[Index]:
        """Give an index with a bm25 channel: this one, or one of the same documents for now."""
        if "bm25" in self.index.channels:
            yield self.index
            return
        with TemporaryDirectory() as folder:
            path = Path(folder) / "words.index"
            skipping = BuildOptions(on_empty="skip")  # no query is made of an empty text
            build_index(self.index.stream(), {"bm25": self.words}, path, skipping)
            with Index.open(path) as index:
                yield index

    def _query(self, document: Document) -> str | None:
        self.counts["documents tried"] += 1
        if self.options.style == "chat":
            return self._ask(document)
        if self.options.style == "cloze":
            return self._cloze(document)
        title = " ".join(document.title.split())
        if not title:
            self.counts["no title"] += 1
        elif " ".join(document.text.split()).lower().startswith(title.lower()):
            self.counts["text begins with its title"] += 1
            return None
        return title or None

    def _cloze(self, document: Document) -> str | None:
        """Take the content words of one sentence, in their order."""
        rng = np.random.default_rng([self.options.seed, 92, self.counts["documents tried"]])
        sentences = [
            sentence
            for sentence in split_sentences(document.text)
            if len(_WORD.findall(sentence)) >= CLOZE_WORDS
        ]
        if not sentences:
            self.counts["no long sentence"] += 1
            return None
        words = _WORD.findall(sentences[int(rng.integers(len(sentences)))])
        terms = self.words.encode(words, Role.QUERY).sparse  # a stop word has none
        assert terms is not None
        content = [
            word for word, weighted in zip(words, np.diff(terms.indptr), strict=True) if weighted
        ]
        return " ".join(content[:CLOZE_WORDS])

    def _ask(self, document: Document) -> str | None:
        """Ask for a short and a long query in turn."""
        assert self.chat is not None
        prompts = read_toml(PROMPTS)
        number = self.counts["documents tried"]
        kind = "short" if number % 2 else "long"
        examples = [
            prompts["shown"].replace("{text}", _cut(text)).replace("{query}", query)
            for text, query in self.options.examples
        ]
        question = prompts["asked"].replace("{text}", _cut(document.content))
        turn = Turn("user", "\n\n".join([prompts[kind], *examples, question]))
        answer = self.chat.answer([turn], self.options.seed + number, MOST_TOKENS)
        line = next((line.strip() for line in answer.splitlines() if line.strip()), "")
        query = line.removeprefix("Query:").strip().strip('"')
        if not query:
            self.counts["empty answer"] += 1
        return query or None

    def _good(self, text: str, document: Document, seen: set[str], checking: Index) -> bool:
        if len(_WORD.findall(text)) < 2:
            return self._dropped("too short")
        if text.lower() in seen:
            return self._dropped("made before")
        if self.options.style != "title" and _copies(text, document.content):
            return self._dropped(f"copies {COPIED} words in a row")
        if document.id not in self._nearest(text, checking):
            return self._dropped(f"not among the {ROUND_TRIP_DEPTH} best by words")
        return True

    def _nearest(self, text: str, checking: Index) -> Mapping[str, float]:
        rows = self.words.encode([text], Role.QUERY)
        hits = checking.search("bm25", rows, ROUND_TRIP_DEPTH)
        run = to_run(hits, ["query"], checking.row_ids("bm25"))
        return cut(run, ROUND_TRIP_DEPTH)[
            "query"
        ]  # hits are more where documents have several rows

    def _dropped(self, reason: str) -> bool:
        self.counts[reason] += 1
        return False


def _evenly(topics: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Order places so that each topic is spread over the whole by its share.

    Each topic starts at a random place of its own: else all small ones would come in the middle,
    and a beginning would hold none of them.
    """
    sizes, met = Counter(topics), Counter[int]()
    starts = {topic: float(rng.random()) for topic in sorted(sizes)}
    shares = []
    for topic in topics:
        shares.append((met[topic] + starts[topic]) / sizes[topic])
        met[topic] += 1
    return sorted(range(len(topics)), key=lambda at: (shares[at], at))


def _cut(text: str) -> str:
    return " ".join(text.split()[:EXCERPT_WORDS])


def _copies(text: str, source: str) -> bool:
    """Tell whether COPIED words in a row stand in the source."""
    words = [word.lower() for word in _WORD.findall(text)]
    source_words = f" {' '.join(word.lower() for word in _WORD.findall(source))} "
    runs: Sequence[list[str]] = [words[at : at + COPIED] for at in range(len(words) - COPIED + 1)]
    return any(f" {' '.join(run)} " in source_words for run in runs)
