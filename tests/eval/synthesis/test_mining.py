"""Hard negatives: never an answer, never a twin of one, never nearer than allowed."""

import json
from pathlib import Path

import pytest

from eval.synthesis.mining import MiningOptions
from lastword.main import main

TEXTS = {
    "heart": "The heart pumps blood through arteries and veins.",
    "twin": "The heart pumps blood through arteries and veins.",
    "valve": "Valves in the heart keep blood from flowing back.",
    "lung": "The lung takes oxygen from air into the blood.",
    "wing": "The wing of a plane deflects air downwards.",
    "engine": "The engine of a plane burns fuel with oxygen from air.",
    "price": "Prices rise when money chases few goods.",
}
QUERIES = {"q1": "what pumps blood", "q2": "how does a wing carry a plane", "q3": "unjudged"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "body"
    (made / "qrels").mkdir(parents=True)
    for name, held in (("corpus", TEXTS), ("queries", QUERIES)):
        lines = [json.dumps({"_id": key, "text": text}) + "\n" for key, text in held.items()]
        (made / f"{name}.jsonl").write_text("".join(lines))
    judged = "query-id\tcorpus-id\tscore\nq1\theart\t1\nq1\tvalve\t1\nq2\twing\t1\nq2\tlung\t0\n"
    (made / "qrels" / "train.tsv").write_text(judged)
    return made


def mined(folder: Path, out: Path, *more: str) -> list[dict[str, object]]:
    given = ["train", "mine", str(folder), "--out", str(out), "--negatives", "3", "--quiet"]
    assert main([*given, "--channels", "dense,bm25", *more]) == 0
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def test_negatives_are_neither_answers_nor_their_twins(folder: Path, tmp_path: Path) -> None:
    pairs = mined(folder, tmp_path / "pairs.jsonl", "--share", "1.0")
    asked = [(pair["query"], pair["positive"]) for pair in pairs]
    answers = {TEXTS["heart"], TEXTS["valve"]}
    assert asked == [(QUERIES["q1"], text) for text in (TEXTS["heart"], TEXTS["valve"])] + [
        (QUERIES["q2"], TEXTS["wing"])
    ]
    for pair in pairs[:1]:
        assert isinstance(pair["negatives"], list)
        assert not answers & set(pair["negatives"])
    again = mined(folder, tmp_path / "again.jsonl", "--share", "1.0")
    assert again == pairs


def test_every_candidate_is_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["train", "mine", str(folder), "--out", str(tmp_path / "p.jsonl"), "--json"]
    assert main([*given, "--channels", "dense", "--negatives", "9"]) == 0
    counts = json.loads(capsys.readouterr().out)
    kept = counts["negatives"]
    dropped = sum(count for name, count in counts.items() if name.startswith("dropped"))
    assert counts["pairs"] == counts["pairs with too few"] == 3
    assert kept + dropped == 3 * len(TEXTS)  # dense search finds every document
    assert counts["dropped: judged relevant"] == 2 + 2 + 1


def test_nearness_is_a_share_of_the_answers_cosine(folder: Path, tmp_path: Path) -> None:
    wide = mined(folder, tmp_path / "wide.jsonl", "--share", "1.0", "--negatives", "9")
    narrow = mined(folder, tmp_path / "narrow.jsonl", "--share", "0.3", "--negatives", "9")
    for more, fewer in zip(wide, narrow, strict=True):
        assert isinstance(more["negatives"], list) and isinstance(fewer["negatives"], list)
        assert set(fewer["negatives"]) <= set(more["negatives"])
    assert narrow != wide


def test_dense_is_needed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p.jsonl"
    assert main(["train", "mine", str(folder), "--out", str(out), "--channels", "bm25"]) == 2
    assert "--channels must have dense" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("wrong", [{"negatives": 0}, {"skip": 50}, {"share": 0.0}, {"depth": 1001}])
def test_options_are_checked(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="mining needs"):
        MiningOptions(**wrong)


def test_what_can_be_no_pair_is_dropped_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty query, or an answer that is not there, ended the command after the encoding."""
    with (folder / "corpus.jsonl").open("a") as corpus:
        corpus.write('{"_id": "void", "text": null}\n')
    with (folder / "queries.jsonl").open("a") as queries:
        queries.write('{"_id": "empty", "text": " "}\n')
    with (folder / "qrels" / "train.tsv").open("a") as judged:
        judged.write("empty\theart\t1\nq2\tgone\t1\nq2\tvoid\t1.0\n")
    out = tmp_path / "p.jsonl"
    given = ["train", "mine", str(folder), "--out", str(out), "--channels", "dense", "--json"]
    assert main(given) == 0
    counts = json.loads(capsys.readouterr().out)
    for what in ("empty query", "answer not in the collection", "answer without text"):
        assert counts[f"dropped: {what}"] == 1
    assert counts["pairs"] == len(out.read_text().splitlines()) == 3


def test_an_index_of_other_documents_is_made_again(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Negatives were mined from the documents of an earlier corpus."""
    mined(folder, tmp_path / "p.jsonl")
    corpus = folder / "corpus.jsonl"
    corpus.write_text(corpus.read_text().replace("Prices rise", "Costs rise"))
    assert main(["train", "mine", str(folder), "--out", str(tmp_path / "p.jsonl")]) == 0
    assert "documents have changed" in capsys.readouterr().err
    lines = (tmp_path / "p.jsonl").read_text()
    assert "Costs rise" in lines and "Prices rise" not in lines
