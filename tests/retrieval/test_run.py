"""Runs: order, cutting, translation of rows, TREC files."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.base import NO_ROW, Hits
from retrieval.run import (
    Run,
    cut,
    drop_self,
    ranked,
    read_trec,
    sum_rows,
    timed,
    to_run,
    write_trec,
)
from retrieval.trec_ids import escape_id, unescape_id

LEGAL = st.characters(codec="utf-8", exclude_characters="\0")
ESCAPES = st.sampled_from("% 25E80A9C\t\u2028\u0085\ufeff")
IDS = st.text(LEGAL, min_size=1, max_size=4) | st.text(ESCAPES, min_size=1, max_size=12)
RUNS = st.dictionaries(
    IDS,
    st.dictionaries(IDS, st.floats(allow_nan=False), min_size=1, max_size=5),
    max_size=4,
)


def hits(rows: list[list[int]], scores: list[list[float]]) -> Hits:
    return Hits(np.array(rows, np.int64), np.array(scores, np.float32))


def test_equal_scores_go_to_the_id_that_sorts_first() -> None:
    assert ranked({"d10": 1.0, "d2": 1.0, "a": 0.5, "z": 2.0}) == [
        ("z", 2.0),
        ("d10", 1.0),
        ("d2", 1.0),
        ("a", 0.5),
    ]


def test_cut_keeps_the_best_and_the_empty_query() -> None:
    run = {"q1": {"b": 1.0, "a": 1.0, "c": 3.0}, "q2": {}}
    assert cut(run, 2) == {"q1": {"c": 3.0, "a": 1.0}, "q2": {}}
    assert list(cut(run, 2)["q1"]) == ["c", "a"]
    assert len(run["q1"]) == 3
    with pytest.raises(ValueError, match="k=0"):
        cut(run, 0)


def test_drop_self_removes_only_the_own_id() -> None:
    run = {"a": {"a": 9.0, "b": 1.0}, "b": {"a": 2.0}}
    assert drop_self(run) == {"a": {"b": 1.0}, "b": {"a": 2.0}}
    assert "a" in run["a"]


def test_rows_of_a_text_add_up_and_give_never_less_than_nothing() -> None:
    rows = {"0": {"a": 1.0, "b": -2.0}, "1": {"a": 2.0, "c": 0.5}, "2": {"a": 4.0}}
    assert sum_rows(rows, ["q", "q", "p"]) == {
        "q": {"a": 3.0, "b": 0.0, "c": 0.5},
        "p": {"a": 4.0},
    }
    with pytest.raises(ValueError, match="zip"):
        sum_rows(rows, ["q"])


def test_to_run_takes_the_best_row_of_a_document_and_no_pads() -> None:
    found = hits(
        [[2, 0, 1, NO_ROW], [NO_ROW] * 4],
        [[0.5, 0.25, 0.125, -math.inf], [-math.inf] * 4],
    )
    assert to_run(found, ["q1", "q2"], ["a", "b", "a"]) == {"q1": {"a": 0.5, "b": 0.125}, "q2": {}}


def test_to_run_widens_scores_without_rounding() -> None:
    found = hits([[0]], [[0.1]])
    assert to_run(found, ["q"], ["a"])["q"]["a"] == float(np.float32(0.1))


@pytest.mark.parametrize("query_ids", [["q1"], ["q1", "q1"], ["q1", "q2", "q3"]])
def test_to_run_refuses_ids_that_do_not_fit(query_ids: list[str]) -> None:
    with pytest.raises(ValueError, match="2 distinct query ids"):
        to_run(hits([[0], [0]], [[1.0], [1.0]]), query_ids, ["a"])


def test_trec_file_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "x.trec"
    write_trec({"q1": {"a": 0.1, "b": 2.0}, "q2": {}}, path, tag="t")
    assert path.read_text() == "q1 Q0 b 1 2.0 t\nq1 Q0 a 2 0.1 t\n"
    assert [file.name for file in tmp_path.iterdir()] == ["x.trec"]


@given(RUNS)
def test_reading_back_is_lossless(tmp_path_factory: pytest.TempPathFactory, run: Run) -> None:
    path = tmp_path_factory.mktemp("runs") / "x.trec"
    write_trec(run, path)
    assert read_trec(path) == run


def test_scores_decide_and_ranks_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "x.trec"
    path.write_text("q Q0 a 1 1.0 t\n\nq\tQ0\tb\t2\t1e1\tt\n")
    assert ranked(read_trec(path)["q"]) == [("b", 10.0), ("a", 1.0)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 b 2 1.0", "6 fields .* got 5"),
        ("q Q0 b 2 1.0 t t", "6 fields .* got 7"),
        ("\tQ0\tb\t2\t1.0\tt", "6 fields .* got 5"),
        ("q Q0 b 2 one t", "number as score; got 'one'"),
        ("q Q0 b 2 nan t", "number as score; got 'nan'"),
        ("q Q0 a 2 0.5 t", "'a' comes twice for query 'q'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "x.trec"
    path.write_text(f"q Q0 a 1 1.0 t\n{line}\n")
    with pytest.raises(ValueError, match=rf"x\.trec:2: .*{message}"):
        read_trec(path)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.trec"
    path.write_bytes(b"q Q0 \xff 1 1.0 t\n")
    with pytest.raises(ValueError, match=r"x\.trec:1: .*UTF-8"):
        read_trec(path)


@pytest.mark.parametrize(
    "run",
    [{"": {"a": 1.0}}, {"q": {"a\0": 1.0}}, {"q": {"a\ud800": 1.0}}, {"q": {"a": math.nan}}],
)
def test_what_the_format_cannot_hold_is_refused_and_nothing_is_left(
    tmp_path: Path, run: Run
) -> None:
    path = tmp_path / "x.trec"
    path.write_text("before")
    with pytest.raises(ValueError, match=r"white space|Unicode|NaN"):
        write_trec(run, path)
    assert path.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_ids_with_white_space_are_escaped_and_come_back(tmp_path: Path) -> None:
    """Folders name documents by paths, LIMIT by people: a run of those ended in an error.

    That came after everything had been encoded and searched, and no figure was kept.
    """
    path = tmp_path / "x.trec"
    run = {"q 1": {"a b/file 1.md": 3.0, "caf\u00e9\u2028": 2.5, "100%": 2.0, "a%20b": 1.0}}
    assert write_trec(run, path, tag="t") == 4
    assert path.read_text(encoding="utf-8").splitlines() == [
        "q%201 Q0 a%20b/file%201.md 1 3.0 t",
        "q%201 Q0 caf\u00e9%E2%80%A8 2 2.5 t",
        "q%201 Q0 100% 3 2.0 t",
        "q%201 Q0 a%2520b 4 1.0 t",
    ]
    assert read_trec(path) == run


@given(IDS.filter(lambda text: text.split() == [text] and text.isprintable()))
def test_fields_of_other_programs_are_written_again_as_they_were(field: str) -> None:
    """A percent sign in an id of another program means itself, unless it looks like our escape."""
    assert escape_id(unescape_id(field)) == field


def test_marks_ends_and_headings_of_other_programs_are_no_part_of_a_run(tmp_path: Path) -> None:
    """A byte-order mark made the first query another one, so that it counted 0 in silence."""
    path = tmp_path / "x.trec"
    path.write_bytes(
        b"\xef\xbb\xbfqid Q0 docid rank score tag\r\n\xef\xbb\xbfq1 Q0 a 1 1.0 t\r\n"
        b"q 1\tQ0\ta b\t1\t.5\tmy run\r\n"
    )
    assert read_trec(path) == {"q1": {"a": 1.0}, "q 1": {"a b": 0.5}}


@pytest.mark.parametrize("number", ["1_0", "\u0661", "0x1", "1.0.0", "one", "-", "nan"])
def test_what_only_python_takes_for_a_number_is_none(tmp_path: Path, number: str) -> None:
    path = tmp_path / "x.trec"
    path.write_text(f"q Q0 a 1 {number} t\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"x\.trec:1: expected a number as score"):
        read_trec(path)


def test_steps_that_come_again_are_added_up() -> None:
    seconds: dict[str, float] = {}
    for _ in range(2):
        with timed(seconds, "index"):
            time.sleep(0.01)
    assert list(seconds) == ["index"] and seconds["index"] >= 0.02
