"""The commands export and import, and the page about them."""

import json
import re
from pathlib import Path

import pytest

import lastword as lw
from lastword.main import main
from tests.folders import ROOT

TEXTS = ["green tea is steeped for three minutes", "rotate the key at night", "a stone in the sea"]
HERE = Path("own.index")


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of words alone, in the working directory."""
    monkeypatch.chdir(tmp_path)
    lw.build(HERE, TEXTS, "bm25").close()
    return tmp_path


def test_words_go_out_and_come_back(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("q.tsv").write_text("q1\trotating keys\nq2\tthe of\n", encoding="utf-8")
    call = ["export", "own.index", "--to", "jsonvector", "-o", "out", "--queries", "q.tsv"]
    assert main([*call, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == ["out/corpus/corpus_0.jsonl", "out/query/query.tsv"]
    assert (report["documents"], report["channels"]) == (3, ["bm25"])
    topics = Path("out/query/query.tsv").read_text(encoding="utf-8")
    assert topics == "q1\trotat key\n"  # stop words are no terms
    back = ["import", "jsonvector", "out", "-o", "back.index", "--language", "english", "--json"]
    assert main(back) == 0
    assert json.loads(capsys.readouterr().out)["searched_by_text"] == ["bm25"]
    with lw.open(HERE) as before, lw.open("back.index") as after:
        assert after.search_many(["rotate keys", "tea"]) == before.search_many(
            ["rotate keys", "tea"]
        )


def test_nothing_is_replaced_untold(words: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine", encoding="utf-8")
    call = ["export", "own.index", "--to", "beir", "-o", "out"]
    assert main(call) == 2
    assert "out is not empty" in capsys.readouterr().err
    assert main([*call, "--overwrite"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["corpus.jsonl", "mine.txt"]
    Path("link").symlink_to("out")
    assert main([*call[:-1], "link", "--overwrite"]) == 2
    assert "nothing is written through links" in capsys.readouterr().err
    assert main(["import", "jsonvector", "out", "-o", "own.index"]) == 2
    assert "holds a complete index" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("export own.index --to faiss -o new", "the format holds dense vectors; own.index has"),
        ("export own.index --to npz -o new --channels dense", "channels takes some of the index's"),
        ("export own.index --to npz -o new --qrels q.qrels", "npz holds no judgements; beir does"),
        ("export own.index --to beir -o new/deep --queries none.tsv", "none.tsv"),
        ("import jsonvector none -o new", "none"),
        ("import npy . -o new", "vectors.npy"),
        ("import npz q.qrels -o new", "expected a .npz file"),
        ("import parquet q.qrels -o new", "expected a Parquet file"),
        ("import jsonvector q.qrels -o new", "q.qrels:1: not JSON"),
        ("import faiss . -o new --prompt promptreps", "--prompt and --task go with --model"),
    ],
)
def test_what_does_not_fit_is_said(
    words: Path, capsys: pytest.CaptureFixture[str], call: str, says: str
) -> None:
    Path("q.qrels").write_text("q1 0 0 1\n", encoding="utf-8")
    assert main(call.split()) == 2
    said = capsys.readouterr().err
    assert says in said and said.count("\n") == 1
    assert not Path("new").exists()


def test_the_page_about_exchange_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lw.build(HERE, TEXTS).close()
    page = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    with lw.open(HERE, ["dense"]) as index:
        assert names["run"] == index.search_many({"q1": "rotate a key"}, k=10)
