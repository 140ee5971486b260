"""Pairs from files, plain and packed, in any order; bad lines by their number."""

import gzip
import json
import lzma
from pathlib import Path

import pytest

from embedder.train.data.pair_files import PairFiles, TrainingPair

TOPICS = "whale oyster falcon glacier copper violin harbour orchard lantern compass".split()


def write_pairs(path: Path, count: int = 24) -> Path:
    lines = []
    for number in range(count):
        topic, other = TOPICS[number % 10], TOPICS[(number + 3) % 10]
        lines.append(
            {
                "query": f"where is the {topic} number {number}",
                "positive": f"People saw the {topic} {number} near the {other}. "
                * (1 + number % 3),
                "negatives": [f"The {one} is old and {number}." for one in TOPICS[:3]],
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_pairs_are_read_from_the_middle_of_any_file(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs.jsonl")
    raw = pairs.read_bytes()
    packed, longer = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.xz"
    packed.write_bytes(gzip.compress(raw))
    longer.write_bytes(lzma.compress(b"\n" + raw.replace(b"whale", "walé".encode())))
    files = PairFiles([pairs, packed, longer], tmp_path)
    assert len(files) == 72
    lines = [json.loads(line) for line in raw.splitlines()]
    for number in (71, 24, 5, 47, 0):
        wanted = lines[number % 24]
        got = files[number]
        if number < 48:
            assert got == TrainingPair(
                wanted["query"], wanted["positive"], tuple(wanted["negatives"])
            )
        assert got.query == wanted["query"].replace("whale", "walé" if number >= 48 else "whale")
    assert files[48].query == "where is the walé number 0"
    assert PairFiles([pairs], tmp_path).digest == PairFiles([pairs], tmp_path).digest
    assert PairFiles([pairs], tmp_path).digest != files.digest


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"query": "a"}', "2 is no pair: positive must be a text"),
        ('{"query": "a", "positive": " "}', "positive must be a text that is not empty"),
        ('{"query": "a", "positive": "b", "negatives": "c"}', "negatives must be a list"),
        ('["a", "b"]', "expected an object"),
        ('{"query": ', "is no pair"),
        ('{"query": "a", "positive": "\\ud83d"}', "2 is no pair: .*surrogate"),
        (
            '{"query": "a", "positive": "b"}\r{"query": "a", "positive": "b"}',
            "2: a carriage return",
        ),
        ('{"query": "a", "n": ' + "[" * 5000, "2 is no pair: .*nested"),
    ],
)
def test_bad_lines_are_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"query": "a", "positive": "b"}\n' + line + "\n")
    with pytest.raises(ValueError, match=said):
        PairFiles([path], tmp_path)


def test_damaged_archives_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl.gz"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="is damaged"):
        PairFiles([path], tmp_path)


def test_marks_ends_and_null_are_no_part_of_a_pair(tmp_path: Path) -> None:
    """JSON lines of other programs: a byte-order mark was "no pair", UTF-16 was guessed."""
    path = tmp_path / "pairs.jsonl"
    lines = [
        '{"query": "a", "positive": "b", "negatives": null}',
        "",
        '{"query": "c", "positive": "d"}',
    ]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    files = PairFiles([path], tmp_path)
    assert [files[0], files[1]] == [TrainingPair("a", "b"), TrainingPair("c", "d")]
    path.write_bytes(lines[0].encode("utf-16"))
    with pytest.raises(ValueError, match=r"pairs\.jsonl:1: .*UTF-16"):
        PairFiles([path], tmp_path)
