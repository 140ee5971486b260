"""What the counting process runs: frames of texts come in, the postings of a segment go out."""

import json
import os
import struct
import sys
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import BinaryIO

import numpy as np
from scipy.sparse import csr_matrix

from embedder.text.piece_counts import PieceCounts
from embedder.text.term_counts import VOCABULARY, CountedTerms
from embedder.text.word_terms import WordTerms
from index.channels.inversion import invert_numbered
from index.channels.postings import Postings
from index.channels.postings_files import arrays_of

_SIZE = struct.Struct("<q")


def _frames(file: BinaryIO) -> Iterator[bytes]:
    """Yield frames until the asking side is gone."""
    while len(head := file.read(_SIZE.size)) == _SIZE.size:
        yield file.read(*_SIZE.unpack(head))


def _texts(frame: bytes) -> list[bytes]:
    """Return the texts of a frame: how many there are, the size of each, and all of them."""
    (count,) = _SIZE.unpack_from(frame)
    sizes = np.frombuffer(frame, np.int64, count, _SIZE.size).tolist()
    places = accumulate(sizes, initial=_SIZE.size * (1 + count))
    return [frame[start:end] for start, end in pairwise(places)]


def _postings(parts: list[CountedTerms], counts: PieceCounts) -> Postings:
    """Return the postings of counted texts; the parts are used up."""
    counted, columns = CountedTerms.joined(parts), counts.columns
    parts.clear()
    shape = (len(counted.bounds) - 1, len(columns))
    numbers, bounds = counted.terms.view(np.int32), counted.bounds.view(np.int64)
    matrix = csr_matrix((counted.counts, numbers, bounds), shape=shape)
    return invert_numbered(matrix, columns, VOCABULARY)


def _answer() -> None:
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    frames = _frames(questions)
    language, stop_words, analysis = json.loads(next(frames))
    counts = PieceCounts(WordTerms(language, stop_words, analysis).columns_of)
    parts: list[CountedTerms] = []
    for frame in frames:
        if frame:
            parts.append(counts.count(_texts(frame)))
            continue
        arrays = arrays_of(_postings(parts, counts)).values()
        answers.write(np.array([len(array) for array in arrays]).data)
        for array in arrays:
            answers.write(array.data)
        answers.flush()
        counts.make_room()


if __name__ == "__main__":
    _answer()
