"""Overlap of evaluation with training texts, against sets of tuples and runs sought by hand."""

import gzip
import json
import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.overlap import search as overlap_search
from eval.overlap.report import OverlapReport, find_overlap, seek
from eval.overlap.search import OverlapSearch, words_of
from eval.overlap.texts import (
    EvaluationSet,
    Text,
    TrainingPlace,
    open_sets,
    read_training,
    training_files,
)

WORDS = st.sampled_from(["a", "b", "c", "unseen"])
TEXTS = st.lists(st.lists(WORDS, max_size=12).map(" ".join), max_size=8)


def check(sets: dict[str, Sequence[str]], training: Iterable[str], n: int) -> OverlapReport:
    """Look for sentences; training texts stand on lines 1, 2, ... of a file."""

    def opened(name: str) -> EvaluationSet:
        texts = [Text("sentence", f"row {row}", text) for row, text in enumerate(sets[name], 1)]
        return EvaluationSet(name, lambda: iter(texts))

    placed = [
        (TrainingPlace("t.jsonl", line, "", "text"), text) for line, text in enumerate(training, 1)
    ]
    return find_overlap(seek(map(opened, sets), n), placed)


def grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def longest_run(one: Sequence[str], other: Sequence[str]) -> int:
    """Length of the longest common run of words, by trying all lengths."""
    lengths = range(min(len(one), len(other)), 0, -1)
    return next((n for n in lengths if set(grams(one, n)) & set(grams(other, n))), 0)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(TEXTS, max_size=3), st.integers(1, 5))
def test_search_equals_sets_of_tuples(texts: list[str], blocks: list[list[str]], n: int) -> None:
    """Blocks, repeated words and repeated texts included: all of them come often here."""
    search = OverlapSearch(texts, n)
    for block in blocks:
        search.read(block)
    training = [words_of(text) for block in blocks for text in block]
    for row, words in enumerate(map(words_of, texts)):
        sought = min(n, max(len(words), 1))
        there = {gram for held in training for gram in grams(held, sought)}
        expected = sum(gram in there for gram in grams(words, sought))
        assert search.match_counts[row] == expected
        assert search.ngrams[row] == len(grams(words, n))
        best = max((longest_run(words, held) for held in training), default=0)
        assert search.runs[row] == (best if best >= sought else 0)
        if search.runs[row]:
            run = tuple(search.run(row).split())
            assert len(run) == best
            assert run in grams(words, best)
            assert any(run in grams(held, best) for held in training)
    assert search.training_ngrams == sum(len(grams(held, n)) for held in training)
    assert search.training_words == sum(map(len, training))


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 5))
def test_equal_hashes_of_other_words_do_not_count(
    texts: list[str], block: list[str], n: int
) -> None:
    """With codes of 0 all n-grams collide, and what is found stays the same."""
    honest, colliding = OverlapSearch(texts, n), _colliding(texts, n)
    honest.read(block)
    colliding.read(block)
    assert honest.match_counts.tolist() == colliding.match_counts.tolist()
    assert honest.runs.tolist() == colliding.runs.tolist()
    assert honest.rejected == 0


def _colliding(texts: list[str], n: int) -> OverlapSearch:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap_search, "_random_codes", lambda count: np.zeros(count, np.uint64))
        return OverlapSearch(texts, n)


def test_rejected_pairs_are_counted() -> None:
    search = _colliding(["a b", "b c"], 2)
    search.read(["c unseen a"])  # a word that no evaluation text has ends every n-gram
    assert (search.rejected, search.match_counts.tolist()) == (0, [0, 0])
    search.read(["a c"])
    assert (search.rejected, search.match_counts.tolist()) == (2, [0, 0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't re-train, 3.5 times_two!", ["don", "t", "re", "train", "3", "5", "times", "two"]),
        ("ÜBER Straße Ελλάδα 東京都", ["über", "straße", "ελλάδα", "東京都"]),
        ("... -- _", []),
    ],
)
def test_words_are_lower_cased_runs_of_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_counts_by_hand() -> None:
    """Of six texts one is empty, two are short, and three have 3, 2 and 1 trigrams."""
    texts = ["p q r s t", "a b c d", "x y z", "k l", "l m", "..."]
    report = check({"mine": texts}, ["A b, c! x y", "q R s t; k L", "a b c"], n=3)
    (overlap,) = report.overlaps
    assert (overlap.dataset, overlap.kind, overlap.texts) == ("mine", "sentence", 6)
    assert (overlap.shorter, overlap.shorter_found) == (3, 1)
    assert (overlap.touched, overlap.half, overlap.longest) == (2, 2, 4)
    first, second = overlap.worst
    assert (first.id, first.words, first.run) == ("row 1", 5, "q r s t")
    assert first.share == pytest.approx(2 / 3)
    assert (second.run, second.share) == ("a b c", 0.5)
    assert (first.training.line, second.training.line) == (2, 1)
    assert (report.evaluation_ngrams, report.training_ngrams) == (6, 3 + 4 + 1)
    assert (report.training_texts, report.training_words, report.rejected) == (3, 14, 0)
    assert report.expected_rejected == 6 * 8 / 2**64


def test_a_run_is_of_one_training_text() -> None:
    """All bigrams of "a b c d" are in training, but no text has more than two words of it."""
    (overlap,) = check({"mine": ["a b c d"]}, ["a b", "b c", "c d"], n=2).overlaps
    (shared,) = overlap.worst
    assert (shared.share, shared.run_words, shared.training.line) == (1.0, 2, 1)


def test_ten_are_named_longest_run_first_then_largest_share() -> None:
    texts = [f"a b c w{row} v{row}" for row in range(12)] + ["a b c", "a b c d"]
    (overlap,) = check({"mine": texts}, ["a b c d"], n=3).overlaps
    assert overlap.touched == 14
    assert [shared.id for shared in overlap.worst] == [
        *("row 14", "row 13"),
        *(f"row {row}" for row in range(1, 9)),
    ]


def test_evaluation_texts_serve_once() -> None:
    sought = seek([EvaluationSet("s", lambda: iter([Text("query", "1", "a b")]))], 2)
    find_overlap(sought, [(TrainingPlace("t", 1, "", "text"), "a b")])
    with pytest.raises(ValueError, match="seek them anew"):
        find_overlap(sought, [])


def write(path: Path, *lines: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of folders: one collection with two splits, pairs, labelled texts, other files."""
    folder = tmp_path / "data"
    beir = folder / "retrieval" / "tiny"
    write(beir / "corpus.jsonl", {"_id": "d1", "title": "The title", "text": "and its text."})
    queries = [{"_id": f"q{number}", "text": f"query {number}"} for number in (1, 2, 3)]
    write(beir / "queries.jsonl", *queries)
    write(beir / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q1\td1\t1")
    write(beir / "qrels" / "train.tsv", "query-id\tcorpus-id\tscore", "q2\td1\t1")
    pairs = folder / "sts" / "pairs.tsv"
    write(pairs, "score\tsentence1\tsentence2", "1\tone\ttwo", "2\ttwo\tthree")
    write(folder / "classification" / "cr-test.tsv", "label\ttext", "0\tgood", "1\tbad")
    write(folder / "reference" / "scores.tsv", "system\tndcg", "bm25\t0.6")
    return folder


def test_a_folder_of_folders_is_searched_to_the_bottom(data: Path) -> None:
    """Queries are those judged in any split; a sentence counts once; the rest is told."""
    sets, passed_over = open_sets([str(data)])
    assert {held.name: list(held.texts()) for held in sets} == {
        "cr-test": [("sentence", "row 1", "good"), ("sentence", "row 2", "bad")],
        "tiny": [
            ("query", "q1", "query 1"),
            ("query", "q2", "query 2"),
            ("document", "d1", "The title and its text."),
        ],
        "pairs": [
            *(("sentence", "row 1", "one"), ("sentence", "row 1", "two")),
            ("sentence", "row 2", "three"),
        ],
    }
    assert [path.name for path in passed_over] == ["scores.tsv"]


def test_what_is_no_set_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a first line with score"):
        open_sets([str(data / "reference" / "scores.tsv")])
    with pytest.raises(ValueError, match="two of the evaluation sets are called 'pairs'"):
        open_sets([str(data), str(data / "sts")])
    with pytest.raises(FileNotFoundError, match="absent"):
        open_sets([str(tmp_path / "absent")])


def test_training_fields_and_compressions(tmp_path: Path) -> None:
    plain = write(
        tmp_path / "a.jsonl",
        {"id": 7, "title": "T", "text": "x", "source": "not a text"},
        "",
        {"query": "q", "positive": {"title": "P", "text": "p"}, "negatives": ["n", {"text": "m"}]},
    )
    line = json.dumps({"query": "é", "positive_id": "x-1"}).encode() + b"\n"
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(line))
    (tmp_path / "c.jsonl.xz").write_bytes(lzma.compress(line))
    write(tmp_path / "README.md", "not a training file")
    files = training_files([tmp_path])
    assert [path.name for path in files] == ["a.jsonl", "b.jsonl.gz", "c.jsonl.xz"]
    seen: list[int] = []
    found = read_training(files, seen.append)
    assert [
        ((Path(place.file).name, place.line, place.id, place.field), text) for place, text in found
    ] == [
        (("a.jsonl", 1, "7", "text"), "T x"),
        (("a.jsonl", 3, "", "query"), "q"),
        (("a.jsonl", 3, "", "positive"), "P p"),
        (("a.jsonl", 3, "", "negatives"), "n"),
        (("a.jsonl", 3, "", "negatives"), "m"),
        (("b.jsonl.gz", 1, "x-1", "query"), "é"),
        (("c.jsonl.xz", 1, "x-1", "query"), "é"),
    ]
    assert seen[-1] == sum(path.stat().st_size for path in files)
    assert seen[0] == plain.stat().st_size


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"text": "\xff"}', "expected UTF-8"),
        (b"{", "expected one JSON object a line"),
        (b"[]", "expected a JSON object; got list"),
        (b'{"source": "x"}', "expected text in title, text, query"),
        (b'{"text": 3}', "expected text as title and text; got 3"),
        (b'{"query": 3}', "expected text or a list of texts; got 3"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + line + b"\n")
    with pytest.raises(ValueError, match=rf"t\.jsonl:2: {said}"):
        list(read_training([path], lambda done: None))


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_torn_file_is_named(tmp_path: Path, suffix: str) -> None:
    packed = {".gz": gzip, ".xz": lzma}[suffix].compress(b'{"text": "fine"}\n' * 9)
    path = tmp_path / f"t.jsonl{suffix}"
    path.write_bytes(packed[:-9])
    with pytest.raises(ValueError, match=rf"t\.jsonl{suffix} is damaged, incomplete"):
        list(read_training([path], lambda done: None))


def test_an_n_gram_has_a_most() -> None:
    """A run of 2^63 words was hashed word by word, which no machine ends."""
    with pytest.raises(ValueError, match="1 to 1,000 words; got n = 9223372036854775808"):
        OverlapSearch(["a b c"], 2**63)
