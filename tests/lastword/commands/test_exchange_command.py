"""The commands export and import, and the page about them."""

import json
import re
from pathlib import Path

import pytest

import lastword as lw
from eval.runs.trec_export import export_runs
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
    assert main([*call, "--overwrite"]) == 0
    assert "out: 3 documents, rows of bm25." in capsys.readouterr().err
    assert main([*back[:-1], "--overwrite"]) == 0
    assert "back.index: 3 documents, 3 rows of bm25." in capsys.readouterr().err


def test_terms_of_an_unknown_model_are_not_called_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The index was called searchable by text, though no word of a text is a model's token."""
    monkeypatch.chdir(tmp_path)
    line = {"id": "one", "contents": "", "vector": {"\u0120tea": 300, "\u0120green": 20}}
    Path("rows.jsonl").write_text(json.dumps(line), encoding="utf-8")
    assert main(["import", "jsonvector", "rows.jsonl", "-o", "my.index"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "a query is terms as rows.jsonl has them, with spaces between" in said
    assert "which model made the terms is not known (--model says it)" in said
    assert "your question" not in said
    assert main(["search", "my.index", "tea", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"] == []
    assert main(["search", "my.index", "tea"]) == 0
    assert "Nothing found: sparse is searched by terms" in capsys.readouterr().out
    assert main(["search", "my.index", "\u0120tea", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == "one"
    assert main(["info", "my.index"]) == 0
    assert "terms between spaces" in capsys.readouterr().out


def test_vectors_of_an_unknown_model_say_which_command_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The advice was a class of Python."""
    monkeypatch.chdir(tmp_path)
    lw.build(HERE, TEXTS).close()
    assert main(["export", "own.index", "--to", "npy", "-o", "arrays"]) == 0
    assert main(["import", "npy", "arrays", "-o", "vectors.index"]) == 0
    capsys.readouterr()
    assert main(["search", "vectors.index", "tea"]) == 2
    said = capsys.readouterr().err
    assert "lastword import with --model or --embedder" in said and said.count("\n") == 1


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


def test_runs_of_an_evaluation_are_read_by_ir_measures(words: Path) -> None:
    """trec_eval's own measures of the files are the figures of the evaluation."""
    ir_measures = pytest.importorskip("ir_measures")
    documents = {"d 1": "green tea", "d2": "rotate the key", "d3": "tea and a key"}
    beir = words / "tiny"
    (beir / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", documents), ("queries", {"q1": "tea", "q2": "rotate keys"})):
        corpus = (json.dumps({"_id": each, "text": text}) for each, text in texts.items())
        (beir / f"{name}.jsonl").write_text("\n".join(corpus), encoding="utf-8")
    (beir / "qrels" / "test.tsv").write_text("q1\td3\t1\nq1\td 1\t2\nq2\td2\t1\n")
    call = ["eval", "retrieval", "tiny", "--out", "runs/mine", "--channels", "bm25", "--quiet"]
    assert main(call) == 0
    assert main(["export", "runs/mine", "--to", "trec", "-o", "trec"]) == 0
    files = sorted(str(path) for path in Path("trec").rglob("*") if path.is_file())
    assert files == ["trec/tiny/bm25.trec", "trec/tiny/qrels"]
    lines = Path(files[0]).read_text(encoding="utf-8").splitlines()
    assert {line.split()[5] for line in lines} == {"mine-bm25"}
    assert "d%201" in {line.split()[2] for line in lines}
    run = list(ir_measures.read_trec_run(files[0]))
    qrels = list(ir_measures.read_trec_qrels(files[1]))
    found = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], qrels, run)
    wanted = json.loads(Path("runs/mine/tiny.json").read_text(encoding="utf-8"))
    values = wanted["values"]["bm25"]["nDCG@10"].values()
    assert found[ir_measures.nDCG @ 10] == pytest.approx(sum(values) / len(values))
    assert export_runs("runs/mine", "again").runs == 1
    assert main(["export", "own.index", "--to", "trec", "-o", "new"]) == 2


def test_the_page_about_exchange_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lw.build(HERE, TEXTS).close()
    page = (ROOT / "docs" / "exchange.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    with lw.open(HERE, ["dense"]) as index:
        assert names["run"] == index.search_many({"q1": "rotate a key"}, k=10)
