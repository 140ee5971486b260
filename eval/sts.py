"""Judge sentence similarity: how cosines of sentence pairs correlate with people's scores."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from embedder.types import Counted, Encoder, Role

COLUMNS = ("score", "sentence1", "sentence2")
WINDOW = 1024  # sentences between two movements of the bar

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences, how similar people found them, and the part of the set they are from."""

    gold: float
    first: str
    second: str
    subset: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.gold):
            raise ValueError(f"expected a finite number as score; got {self.gold}")


@dataclass(frozen=True, slots=True)
class PairSet:
    """A named set of at least two pairs, in the order of its file."""

    name: str
    pairs: tuple[Pair, ...]

    def __post_init__(self) -> None:
        if len(self.pairs) < 2:
            raise ValueError(
                f"a correlation needs at least two pairs; {self.name} has {len(self.pairs)}"
            )

    @property
    def subsets(self) -> list[str]:
        """Names of the parts in the order of their first pairs; none where nothing is named."""
        return [name for name in dict.fromkeys(pair.subset for pair in self.pairs) if name]


@dataclass(frozen=True, slots=True)
class Correlation:
    """How cosines and scores of pairs correlate, each in -1..1; NaN where one side is constant."""

    spearman: float
    pearson: float
    pairs: int

    @property
    def measures(self) -> dict[str, float | None]:
        """The values by name, None for NaN: JSON knows no NaN."""
        values = {"spearman": self.spearman, "pearson": self.pearson}
        return {name: None if math.isnan(value) else value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class JudgedPairs:
    """The outcome of one set: all pairs together, and each subset alone.

    Attributes:
        dataset: name of the set.
        overall: over all pairs of the set, which is what papers report as "all".
        subsets: name -> correlation over that subset's pairs.
        fingerprint: of the encoder.
        counts: what the encoder did to the sentences of all sets that were judged together.
    """

    dataset: str
    overall: Correlation
    subsets: Mapping[str, Correlation]
    fingerprint: str
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the figures, unrounded; "subsets" only where the set has them."""
        facts: dict[str, Any] = {
            "dataset": self.dataset,
            "measures": self.overall.measures,
            "pairs": self.overall.pairs,
        }
        if self.subsets:
            facts["subsets"] = {
                name: {"measures": held.measures, "pairs": held.pairs}
                for name, held in self.subsets.items()
            }
        fingerprint = {"dense": json.loads(self.fingerprint)}
        return facts | {"fingerprint": fingerprint, "counts": dict(self.counts)}


def judge(
    sets: Sequence[PairSet], encoder: Encoder, progress: Progress | None = None
) -> list[JudgedPairs]:
    """Judge sets of pairs by the cosine of their dense rows; every pair counts.

    Both sentences are read as queries: similarity is symmetric, and the models that are told
    their task are told it on that side. A sentence is encoded once, in however many pairs and
    sets it stands.

    Args:
        sets: with sentences and scores.
        encoder: gives one dense row a sentence.
        progress: told the number of sentences encoded, of `len(sentences(sets))`.

    Raises:
        ValueError: the encoder gives no dense row or several for a sentence, or a correlation
            over a whole set is not defined.
    """
    texts = sentences(sets)
    rows = _rows(texts, encoder, progress)
    place = {text: row for row, text in enumerate(texts)}
    counts = dict(encoder.counts) if isinstance(encoder, Counted) else {}
    judged = []
    for pair_set in sets:
        cosines = _cosines(
            rows[[place[pair.first] for pair in pair_set.pairs]],
            rows[[place[pair.second] for pair in pair_set.pairs]],
        )
        overall, subsets = _correlations(pair_set, cosines)
        judged.append(JudgedPairs(pair_set.name, overall, subsets, encoder.fingerprint, counts))
    return judged


def sentences(sets: Sequence[PairSet]) -> list[str]:
    """Return every sentence of the sets once, in the order of first appearance."""
    pairs = chain.from_iterable(pair_set.pairs for pair_set in sets)
    return list(dict.fromkeys(text for pair in pairs for text in (pair.first, pair.second)))


def correlation(cosines: NDArray[np.float64], gold: NDArray[np.float64]) -> Correlation:
    """Correlate cosines with scores; equal values share the mean of their ranks.

    Args:
        cosines: (n,) one a pair, n at least 1.
        gold: (n,) scores by people, on any scale.
    """
    if len(gold) < 2 or np.ptp(cosines) == 0 or np.ptp(gold) == 0:
        return Correlation(math.nan, math.nan, len(gold))
    from scipy.stats import pearsonr, spearmanr

    return Correlation(
        float(spearmanr(cosines, gold).statistic),
        float(pearsonr(cosines, gold).statistic),
        len(gold),
    )


def read_pairs(path: Path) -> PairSet:
    """Read a set: tab-separated, a header that names score, sentence1, sentence2, perhaps subset.

    Quotation marks are text, other columns are passed over, and the set is named after the file.

    Raises:
        ValueError: a column is missing, a line has too few or too many fields, a score is no
            finite number, or there are fewer than two pairs.
    """
    lines = _lines(path)
    header = next(lines, (1, []))[1]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise ValueError(
            f"{path}: expected a first line that names the columns {', '.join(COLUMNS)}, "
            f"separated by tabs; {', '.join(missing)} is missing"
        )
    pairs = []
    for number, fields in lines:
        if len(fields) != len(header):
            raise ValueError(
                f"{path}:{number}: expected {len(header)} fields as in the first line, separated "
                f"by tabs; got {len(fields)}"
            )
        try:
            pairs.append(_pair(dict(zip(header, fields, strict=True))))
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from error
    try:
        return PairSet(path.stem, tuple(pairs))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def pair_files(source: Path) -> list[Path]:
    """Return a file itself, or the .tsv files of a folder by name.

    Raises:
        ValueError: there is nothing to read.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ValueError(f"{source} is neither a file nor a folder; give .tsv files of pairs")
    found = sorted(path for path in source.glob("*.tsv") if not path.name.startswith("."))
    if not found:
        raise ValueError(f"{source} holds no .tsv files of pairs")
    return found


def _pair(fields: Mapping[str, str]) -> Pair:
    try:
        gold = float(fields["score"])
    except ValueError as error:
        raise ValueError(f"expected a number as score; got {fields['score']!r}") from error
    return Pair(gold, fields["sentence1"], fields["sentence2"], fields.get("subset", ""))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Split the lines that are not blank into fields, each with its number."""
    with path.open("rb") as file:  # bytes: only line feeds end a line, not the marks inside text
        for number, raw in enumerate(file, start=1):
            try:
                line = raw.decode("utf-8-sig").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}:{number}: expected UTF-8 text; {error}") from error
            if line.strip():
                yield number, line.split("\t")


def _rows(texts: Sequence[str], encoder: Encoder, progress: Progress | None) -> NDArray[np.float32]:
    """Encode sentences, one dense row each: (n, dim)."""
    parts = []
    for start in range(0, len(texts), WINDOW):
        window = texts[start : start + WINDOW]
        read = encoder.encode(window, Role.QUERY)
        if read.dense is None:
            raise ValueError("similarity is judged on dense rows; this encoder gives sparse ones")
        if not np.array_equal(read.owner, np.arange(len(window))):
            raise ValueError(
                f"similarity is judged on one row a sentence; this encoder gave {len(read)} rows "
                f"for {len(window)} sentences: take a prompt whose mode reads one"
            )
        parts.append(read.dense)
        if progress is not None:
            progress(start + len(window))
    return np.concatenate(parts)


def _cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n,) cosines of rows (n, dim); equal rows have exactly 1, so that they tie."""

    def products(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("nd,nd->n", a, b, dtype=np.float64))

    norms = np.sqrt(products(first, first) * products(second, second))
    return np.asarray(products(first, second) / norms)


def _correlations(
    pair_set: PairSet, cosines: NDArray[np.float64]
) -> tuple[Correlation, dict[str, Correlation]]:
    gold = np.array([pair.gold for pair in pair_set.pairs])
    overall = correlation(cosines, gold)
    if math.isnan(overall.spearman):
        same = "scores" if np.ptp(gold) == 0 else "cosines"
        raise ValueError(f"{pair_set.name}: no correlation is defined where all {same} are equal")
    named = np.array([pair.subset for pair in pair_set.pairs])
    return overall, {
        name: correlation(cosines[named == name], gold[named == name]) for name in pair_set.subsets
    }
