"""Report which evaluation texts share runs of n words with training texts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.progress import Progress
from eval.overlap.search import OverlapSearch
from eval.overlap.texts import EvaluationSet, TextKind, TrainingPlace

WORST = 10
_OFTEN = 1000  # texts between two movements of the bar
_BLOCK = 1 << 20  # characters of training texts that are looked through at a time


@dataclass(frozen=True, slots=True)
class SharedRun:
    """An evaluation text and the longest run of words that one training text has, too.

    Attributes:
        id: of the evaluation text in its set.
        words: of the evaluation text.
        share: of its n-grams that are anywhere in training, in 0..1.
        run_words: words of the run.
        run: the run itself, in lower case.
        training: the first training text with a run of that length.
    """

    id: str
    words: int
    share: float
    run_words: int
    run: str
    training: TrainingPlace


@dataclass(frozen=True, slots=True)
class TextOverlap:
    """How far the texts of one kind of one set overlap with training.

    Attributes:
        dataset: name of the set.
        kind: "query", "document" or "sentence".
        texts: number of them.
        shorter: of fewer than n words, which are not among the touched.
        shorter_found: of these, how many are in a training text as a whole.
        touched: with at least one n-gram in training.
        half: with at least half of their n-grams in training.
        worst: at most WORST of the touched; longest run first, then the largest share.
    """

    dataset: str
    kind: TextKind
    texts: int
    shorter: int
    shorter_found: int
    touched: int
    half: int
    worst: tuple[SharedRun, ...]

    def __post_init__(self) -> None:
        if not (self.half <= self.touched <= self.texts - self.shorter):
            raise ValueError(f"{self.dataset}: more texts are touched than there are")

    @property
    def longest(self) -> int:
        """Words of the longest run that is shared; 0 where no text is touched."""
        return self.worst[0].run_words if self.worst else 0

    def to_json(self) -> dict[str, Any]:
        """Return the counts and the worst texts."""
        return asdict(self) | {"longest": self.longest}


@dataclass(frozen=True, slots=True)
class OverlapReport:
    """Overlaps of all sets, and how much was compared.

    Attributes:
        n: words of an n-gram.
        overlaps: in the order of the sets.
        evaluation_ngrams: of all evaluation texts.
        training_texts, training_words, training_ngrams: of all training texts.
        rejected: pairs of n-grams with equal hashes whose words differ, which do not count.
    """

    n: int
    overlaps: tuple[TextOverlap, ...]
    evaluation_ngrams: int
    training_texts: int
    training_words: int
    training_ngrams: int
    rejected: int

    @property
    def expected_rejected(self) -> float:
        """How many of `rejected` chance would give: m t / 2^64 for m and t n-grams."""
        return self.evaluation_ngrams * self.training_ngrams / 2**64

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        return asdict(self) | {
            "expected_rejected": self.expected_rejected,
            "overlaps": [overlap.to_json() for overlap in self.overlaps],
        }


@dataclass(frozen=True, slots=True)
class SoughtTexts:
    """Evaluation texts to look for.

    Attributes:
        search: holds their words.
        listed: set, kind and id of each.
    """

    search: OverlapSearch
    listed: tuple[tuple[str, TextKind, str], ...]

    def __post_init__(self) -> None:
        if not self.listed:
            raise ValueError("there are no evaluation texts to look for")


def seek(sets: Iterable[EvaluationSet], n: int, progress: Progress | None = None) -> SoughtTexts:
    """Read the texts of evaluation sets.

    Args:
        sets: those that must not be trained on.
        n: words of an n-gram, at least 1.
        progress: called with the number of texts read.

    Raises:
        ValueError: n is below 1, there are no texts, or a set cannot be read.
    """
    listed: list[tuple[str, TextKind, str]] = []

    def texts() -> Iterator[str]:
        for evaluation_set in sets:
            for kind, text_id, text in evaluation_set.texts():
                listed.append((evaluation_set.name, kind, text_id))
                yield text
                if progress is not None and len(listed) % _OFTEN == 0:
                    progress(len(listed))

    search = OverlapSearch(texts(), n)
    return SoughtTexts(search, tuple(listed))


def find_overlap(
    sought: SoughtTexts, training: Iterable[tuple[TrainingPlace, str]]
) -> OverlapReport:
    """Look for n-grams in training texts, which are read once and held a block at a time.

    Matches are noted in `sought`, which serves once.

    Raises:
        ValueError: `sought` has served, or a training text cannot be read.
    """
    search = sought.search
    if search.training_words:
        raise ValueError("these evaluation texts were looked for before; seek them anew")
    texts, sources = _look(search, training)
    return OverlapReport(
        n=search.n,
        overlaps=tuple(_overlaps(sought, sources)),
        evaluation_ngrams=int(search.ngrams.sum()),
        training_texts=texts,
        training_words=search.training_words,
        training_ngrams=search.training_ngrams,
        rejected=search.rejected,
    )


def _look(
    search: OverlapSearch, training: Iterable[tuple[TrainingPlace, str]]
) -> tuple[int, dict[int, TrainingPlace]]:
    """Search all blocks; return the number of texts, and where the longest run of each text is."""
    texts = 0
    sources: dict[int, TrainingPlace] = {}
    for block in _blocks(training):
        texts += len(block)
        for text, source in search.read([text for _, text in block]):
            sources[text] = block[source][0]
    return texts, sources


def _blocks(
    training: Iterable[tuple[TrainingPlace, str]],
) -> Iterator[list[tuple[TrainingPlace, str]]]:
    block: list[tuple[TrainingPlace, str]] = []
    characters = 0
    for place, text in training:
        block.append((place, text))
        characters += len(text)
        if characters >= _BLOCK:
            yield block
            block, characters = [], 0
    if block:
        yield block


def _overlaps(sought: SoughtTexts, sources: Mapping[int, TrainingPlace]) -> Iterator[TextOverlap]:
    search, listed = sought.search, sought.listed
    ngrams, matches, runs = search.ngrams, search.match_counts, search.runs
    shares = np.where(ngrams > 0, matches / np.maximum(ngrams, 1), 0.0)
    for (dataset, kind), group in groupby(range(len(listed)), key=lambda row: listed[row][:2]):
        rows: NDArray[np.int64] = np.array(list(group))
        short = ngrams[rows] == 0
        touched = rows[shares[rows] > 0]
        order = np.lexsort((touched, -shares[touched], -runs[touched]))  # the last key counts most
        worst = [
            SharedRun(
                id=listed[row][2],
                words=int(search.lengths[row]),
                share=float(shares[row]),
                run_words=int(runs[row]),
                run=search.run(row),
                training=sources[row],
            )
            for row in touched[order[:WORST]].tolist()
        ]
        yield TextOverlap(
            dataset=dataset,
            kind=kind,
            texts=len(rows),
            shorter=int(short.sum()),
            shorter_found=int((matches[rows[short]] > 0).sum()),
            touched=len(touched),
            half=int((shares[rows] >= 0.5).sum()),
            worst=tuple(worst),
        )
