"""Reranking end to end: search, explain, eval retrieval and compare; and from Python."""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lastword as lw
from embedder.rerank.load import load_reranker
from embedder.rerank.relevance_prompt import load_relevance_prompt
from eval.tasks.retrieval import JudgeOptions
from lastword.main import main
from retrieval.run import read_trec
from tests.embedder.rerank.test_cross_encoder import save_cross_encoder
from tests.folders import ROOT
from tests.small_collection import write_collection

DOCUMENTS = [
    {"_id": "tea", "title": "Green tea", "text": "Steep green tea below boiling water."},
    {"_id": "key", "title": "Signing keys", "text": "Rotate a signing key once a year."},
    {"_id": "lava", "title": "Lava", "text": "Lava cools into black rock near a volcano."},
    {"_id": "rock", "title": "", "text": "A rock is a key to the story of a volcano."},
]
QUERIES = [{"_id": "q1", "text": "rotate keys"}, {"_id": "q2", "text": "volcano rock"}]


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beir") / "small"
    return write_collection(folder, DOCUMENTS, QUERIES, {"q1": "key", "q2": "rock"})


@pytest.fixture(scope="module")
def held(beir: Path, llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("held") / "my.index"
    assert main(["index", str(beir), "-o", str(path), "--model", str(llama), "--quiet"]) == 0
    return path


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_cross_encoder(tmp_path_factory.mktemp("cross") / "m")


def says(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:  # noqa: ANN401
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


@pytest.mark.parametrize("kind", ["prompt", "maxsim", "cross-encoder"])
def test_a_search_is_reranked_by_each(
    kind: str, held: Path, cross: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"{kind}:{cross}" if kind == "cross-encoder" else kind
    query = QUERIES[1]["text"]
    plain = says(capsys, "search", held, query)
    found = says(capsys, "search", held, query, "--rerank", name, "--rerank-depth", 3)
    first = [hit["id"] for hit in plain["hits"]]
    assert [hit["first"]["rank"] for hit in found["hits"]] == [
        first.index(hit["id"]) + 1 for hit in found["hits"]
    ]
    assert [hit["id"] for hit in found["hits"]][3:] == first[3:]
    with lw.open(held) as index:
        reranker = load_reranker(name, index.encoders)
        texts = [index.get(hit).content for hit in first[:3]]
        scores = reranker.score(query, texts)
        best = [first[at] for at in np.argsort(-scores, kind="stable")]
        assert [hit["id"] for hit in found["hits"][:3]] == best
        assert [hit.id for hit in index.search(query, 4, rerank=name, rerank_depth=3)][:3] == best
        assert list(index.search_many([query], 3, rerank=reranker, rerank_depth=3)["0"]) == best
    assert found["rerank"]["pairs"] == 3 and found["rerank"]["tokens"] > 10
    assert found["rerank"]["truncated"] == 0 and found["seconds"]["rerank"] > 0
    said = says(capsys, "explain", held, query, best[0], "--rerank", name, "--rerank-depth", 3)
    assert said["reranked"]["after"] == 1 and said["reranked"]["depth"] == 3
    assert said["reranked"]["before"] == first.index(best[0]) + 1


def test_what_is_shown_names_ranks_before_and_after(
    held: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(held), "volcano rock", "--rerank", "maxsim"]) == 0
    said = capsys.readouterr()
    assert "first" in said.out.splitlines()[1]
    assert "Reranked by maxsim: 4 pairs of a query and a document" in said.err
    assert "0 texts cut" in said.err
    call = ["explain", str(held), "volcano rock", "rock", "--rerank", "maxsim"]
    assert main([*call, "--feedback", "rm3:common=1"]) == 0
    out = capsys.readouterr().out
    score = re.search(r"Reranked by maxsim: ([\d.-]+), rank", out)
    assert score and out.startswith(f"rock: {score[1]} for 'volcano rock'")  # not the fused one
    assert "query after feedback" in out and "\n\n\n" not in out  # two tables, a line apart


def test_a_file_of_queries_is_reranked(
    held: Path, beir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.trec"
    queries = ("--queries", beir / "queries.jsonl", "--run", out)
    said = says(capsys, "search", held, *queries, "--rerank", "prompt")
    assert said["rerank"]["pairs"] == 8
    with lw.open(held) as index:
        texts = {query["_id"]: query["text"] for query in QUERIES}
        assert read_trec(out) == index.search_many(texts, rerank="prompt")


def test_progress_moves_while_documents_are_read(
    held: Path,
    beir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It counted queries, which are encoded at once, and stood still while they were reranked."""
    monkeypatch.setattr("lastword.cli.screen.LINE_EVERY", 0.0)
    queries = ("--queries", beir / "queries.jsonl", "--run", tmp_path / "out.trec")
    assert main([*map(str, ("search", held, *queries)), "--rerank", "maxsim"]) == 0
    told = re.findall(r"Searching: (\d+) of 102 texts", capsys.readouterr().err)
    assert [int(number) for number in told][-1] == 2 + 8  # queries, and four documents for each


def test_an_evaluation_keeps_both_runs_so_that_they_compare(
    beir: Path, llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    common = ("--model", llama, "--indexes", tmp_path / "idx", "--out", out)
    again = ("--rerank", "prompt", "--rerank-depth", 2)
    (record,) = says(capsys, "eval", "retrieval", beir, *common, *again)
    assert record["counted"] == "reranked"
    assert list(record["measures_by_run"])[-2:] == ["fused", "reranked"]
    assert record["rerank"]["name"] == "prompt:relevance" and record["rerank"]["depth"] == 2
    assert record["counts"]["reranked"]["pairs"] == 4 and record["seconds"]["rerank"] > 0
    fused, reranked = (read_trec(out / f"small.{name}.trec") for name in ("fused", "reranked"))
    assert {q: set(s) for q, s in fused.items()} == {q: set(s) for q, s in reranked.items()}
    assert {q: list(s)[2:] for q, s in fused.items()} == {
        q: list(s)[2:] for q, s in reranked.items()
    }
    compared = says(capsys, "compare", f"{out}:fused", f"{out}:reranked")
    assert compared
    before = (out / "small.reranked.trec").read_bytes()
    says(capsys, "eval", "retrieval", beir, *common, *again, "--resume")
    assert (out / "small.reranked.trec").read_bytes() == before
    assert main(["eval", "retrieval", str(beir), *map(str, common), "--resume"]) == 2
    assert "rerank" in capsys.readouterr().err


def test_from_python_an_evaluation_takes_a_reranking(beir: Path, cross: Path) -> None:
    reranking = lw.Reranking(lw.load_reranker(f"cross-encoder:{cross}"), 2)
    outcome = lw.evaluate(beir, "bm25", options=JudgeOptions(rerank=reranking))
    assert list(outcome.runs) == ["bm25", "reranked"]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rerank", "prompts"], "rerank takes cross-encoder:NAME"),
        (["--rerank", "prompt:none"], "no relevance prompt is called 'none'"),
        (["--rerank-model", "bundled"], "go with --rerank"),
        (["--rerank", "cross-encoder:x", "--rerank-model", "bundled"], "leave out --rerank-model"),
        (["--rerank", "prompt", "--channels", "bm25"], "--rerank-model"),
        (["--rerank", "cross-encoder:./nowhere"], "no such folder"),
    ],
)
def test_a_wrong_call_is_one_line(
    options: list[str], complaint: str, held: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(held), "rock", *options]) == 2
    said = capsys.readouterr()
    assert complaint in said.err and said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--rerank", "prompts"], "rerank takes cross-encoder:NAME"),
        (["--rerank", "prompt:nowhere.toml"], "no relevance prompt file at nowhere.toml"),
        (["--rerank-depth", "3"], "go with --rerank"),
        (["--feedback", "rm4"], "no feedback is called 'rm4'"),
    ],
)
def test_options_are_read_before_a_model_is(
    options: list[str],
    complaint: str,
    beir: Path,
    held: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model was loaded, minutes for a large one, before a misspelt option was told."""
    gone = tmp_path / "gone"
    shutil.copytree(held, gone)
    forget_model(gone, tmp_path / "nowhere")
    calls = [["search", gone, "q"], ["explain", gone, "q", "tea"], ["eval", "retrieval", beir]]
    for call in calls:
        model = ["--model", tmp_path / "nowhere"] if call[0] == "eval" else []
        assert main([*map(str, [*call, *model]), *options]) == 2
        assert complaint in capsys.readouterr().err
        assert main([*map(str, [*call, *model])]) == 2  # the model is not there
        assert str(tmp_path / "nowhere") in capsys.readouterr().err
    assert main(["search", str(gone), "q", "--fusion", "rrg"]) == 2
    assert "no fusion is called 'rrg'" in capsys.readouterr().err


def forget_model(path: Path, place: Path) -> None:
    """Name another folder as that of an index's model."""
    manifest = path / "manifest.json"
    data = json.loads(manifest.read_text(encoding="utf-8"))
    for channel in data["content"]["channels"]:
        recipe = json.loads(channel["recipe"])
        if "model" in recipe:
            channel["recipe"] = json.dumps({**recipe, "model": str(place)})
    text = json.dumps(data["content"], sort_keys=True, ensure_ascii=False).encode()
    data["checksum"] = hashlib.blake2b(text, digest_size=16).hexdigest()
    manifest.write_text(json.dumps(data), encoding="utf-8")


def test_words_alone_are_reranked_by_a_model_of_its_own(
    beir: Path, llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "words.index"
    assert main(["index", str(beir), "-o", str(path), "--channels", "bm25", "--quiet"]) == 0
    found = says(
        capsys, "search", path, "volcano rock", "--rerank", "maxsim", "--rerank-model", llama
    )
    assert {hit["first"]["rank"] for hit in found["hits"]} == {1, 2}


def test_the_page_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "reranking.md").read_text(encoding="utf-8")
    (prompt,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "mine.toml").write_text(prompt, encoding="utf-8")
    assert len(load_relevance_prompt(tmp_path / "mine.toml").form) == 2
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)
    assert names["scores"].shape == (2,) and list(names["run"]) == ["q1"]
