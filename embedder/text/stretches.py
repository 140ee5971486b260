"""Cut a text into stretches of limited size that end where sentences, lines or words end."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import regex  # type: ignore[import-untyped]
from numpy.typing import NDArray

from embedder.text.headings import find_headings
from embedder.text.sentences import split_sentences
from embedder.text.words import UNSPACED

LONGEST = 64  # characters of a unit: what has no spaces is cut within

_IS_SPACE = np.array([chr(code).isspace() for code in range(0x3002)])  # there are none above
# More than UNSPACED, but quick to look for: no quotation marks, dashes and letters of Europe.
_MAYBE_UNSPACED = re.compile(
    "[\u0e00-\u1fff\u2e80-\uabff\uf900-\ufaff\uff61-\uffdf\U00010000-\U0010ffff]"
)
_LINE = regex.compile(r"\n\s*")

Bounds = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TextUnits:
    """The smallest pieces of a text that are not cut, and where it is better cut.

    Attributes:
        bounds: (n, 2) int64 first character of each unit, and one past its last.
        sections: numbers of the units that headings begin with, rising.
        sentences: those that a sentence or a heading begins with, but for those behind a heading.
        lines: those that a line begins with.
    """

    bounds: Bounds
    sections: Sequence[int]
    sentences: Sequence[int]
    lines: Sequence[int]

    @staticmethod
    def of(text: str, longest: int = LONGEST) -> "TextUnits":
        """Find the units of a text: words, and parts of so many characters of longer ones."""
        bounds = find_units(text, longest)
        firsts = bounds[:, 0]

        def numbers(places: Iterable[int]) -> set[int]:
            return set(np.searchsorted(firsts, np.fromiter(places, np.int64)).tolist())

        headings = find_headings(text)
        sections = numbers(start for start, _ in headings)
        bound = numbers(end for _, end in headings) - sections  # what stands below a heading
        sentences = numbers(accumulate(map(len, split_sentences(text)))) | sections
        lines = numbers(match.end() for match in _LINE.finditer(text))
        places = (sections, sentences - bound, lines - bound)
        return TextUnits(bounds, *(sorted(each - {0, len(bounds)}) for each in places))

    def part(self, first: int, end: int) -> "tuple[int, TextUnits]":
        """Return the number of a first unit, and the units from it to another, numbered anew."""

        def within(places: Sequence[int]) -> list[int]:
            low, high = bisect_right(places, first), bisect_left(places, end)
            return [place - first for place in places[low:high]]

        places = map(within, (self.sections, self.sentences, self.lines))
        return first, TextUnits(self.bounds[first:end], *places)

    def between_headings(self) -> "list[tuple[int, TextUnits]]":
        """Return the parts that begin with a heading, and what stands before the first."""
        edges = [0, *self.sections, len(self.bounds)]
        return [self.part(first, end) for first, end in pairwise(edges) if first < end]


def has_few_units(text: str, most: int) -> bool:
    """Tell whether a text surely has no more than so many units; quicker than to find them."""
    if len(text) <= most:
        return True
    if not text.isascii() and _MAYBE_UNSPACED.search(text) is not None:
        return False
    spaces = text.count(" ") if text.isprintable() else len(text.split())  # nothing else is blank
    if spaces + 1 + len(text) // LONGEST <= most:
        return True
    runs = text.split()
    return len(runs) <= most and sum(1 + (len(run) - 1) // LONGEST for run in runs) <= most


def find_units(text: str, longest: int = LONGEST) -> Bounds:
    """Return where the units of a text start and end, (n, 2) int64; only white space is between.

    A unit is one character of a script without spaces, or a run of at most `longest` others; marks
    stay with what they are on.
    """
    others = rf"(?:[\S--[{UNSPACED}]]\p{{M}}*+){{1,{longest}}}+"
    unit = regex.compile(rf"(?V1)[{UNSPACED}]\p{{M}}*+|{others}")
    if _MAYBE_UNSPACED.search(text) is not None:
        spans = [match.span() for match in unit.finditer(text)]
        return np.array(spans, np.int64).reshape(-1, 2)
    # Mostly runs that are a unit each, which are found 50 times as fast.
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
    edges = np.diff(_IS_SPACE[np.minimum(codes, len(_IS_SPACE) - 1)], prepend=True, append=True)
    runs = np.flatnonzero(edges).reshape(-1, 2)
    pieces, done = [], 0
    for at in np.flatnonzero(runs[:, 1] - runs[:, 0] > longest).tolist():
        parts = [part.span() for part in unit.finditer(text, *runs[at].tolist())]
        pieces += [runs[done:at], np.array(parts, np.int64)]
        done = at + 1
    return np.concatenate([*pieces, runs[done:]])


def cut_stretches(
    units: TextUnits, sizes: Sequence[int], most: int, overlap: int
) -> list[tuple[int, int]]:
    """Cut units into stretches, each as full as its limit and the ends of sentences allow.

    A stretch ends before the last heading in its second half; else at the last end of a sentence
    in it; else of a line; else of a unit. The next one begins with the first of the sentences at
    its end that fit into the overlap; where a sentence was cut, with the first of such units.

    Args:
        units: of a text.
        sizes: (n,) size of each unit.
        most: size of a stretch at most; a unit larger than that stands alone.
        overlap: size that neighbours share at most, less than `most`.

    Returns:
        (start, end) in units, of which every one is in a stretch; none without units.
    """
    total = list(accumulate(sizes, initial=0))
    stretches: list[tuple[int, int]] = []
    start = done = 0
    while done < len(sizes):
        fit = bisect_right(total, total[start] + most) - 1
        if fit <= done and start < done:  # what is shared leaves no room
            start = done
            continue
        fit = max(fit, done + 1)
        end = len(sizes) if fit >= len(sizes) else _best_end(units, total, start, done, fit)
        stretches.append((start, end))
        start, done = _next_start(units, total, end, overlap, start), end
    return stretches


def _best_end(units: TextUnits, total: Sequence[int], start: int, done: int, fit: int) -> int:
    half = bisect_left(total, (total[start] + total[fit]) // 2)
    for places, first in ((units.sections, half), (units.sentences, done), (units.lines, done)):
        at = bisect_right(places, fit) - 1
        if at >= 0 and places[at] > max(first, done):
            return places[at]
    return fit


def _next_start(units: TextUnits, total: Sequence[int], end: int, overlap: int, start: int) -> int:
    if _holds(units.sections, end):
        return end
    earliest = max(bisect_left(total, total[end] - overlap), start + 1)
    at = bisect_left(units.sentences, earliest)
    if at < len(units.sentences) and units.sentences[at] <= end:
        return units.sentences[at]
    return min(earliest, end)


def _holds(places: Sequence[int], place: int) -> bool:
    at = bisect_left(places, place)
    return at < len(places) and places[at] == place
