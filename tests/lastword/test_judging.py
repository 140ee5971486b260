"""Evaluate, compare and tune from Python: the figures are those of the commands."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import lastword as lw
from embedder.prompts.files import parse_prompt
from embedder.prompts.prompt import Prompt
from embedder.prompts.readout_rules import ReadoutRules
from embedder.prompts.template import PromptVariant, Template
from lastword.main import main
from tests.eval.tasks.test_beir import write_collection
from tests.tuned import TOPICS


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return write_collection(tmp_path / "tiny")


def test_an_evaluation_is_that_of_the_command(collection: Path, tmp_path: Path) -> None:
    found = lw.evaluate(collection, "bm25")
    screen = io.StringIO()
    command = ["eval", "retrieval", str(collection), "--channels", "bm25", "--json"]
    folders = ["--out", str(tmp_path / "run"), "--indexes", str(tmp_path / "indexes")]
    with redirect_stdout(screen):
        assert main([*command, *folders]) == 0
    (record,) = json.loads(screen.getvalue())
    assert (found.dataset, found.measures) == (record["dataset"], record["measures"])
    assert set(found.runs) == {"bm25"} and "nDCG@10" in str(found)
    assert found._repr_html_().count("<tr>") == 2


def test_two_systems_are_compared_item_by_item(collection: Path, tmp_path: Path) -> None:
    words = lw.evaluate(collection, "bm25")
    fused = lw.evaluate(collection, indexes=tmp_path / "kept")
    outcome = lw.compare(words, fused)
    assert outcome.systems == ("bm25", "bundled") and outcome.measure == "nDCG@10"
    (row,) = outcome.rows
    assert row.to_json()["difference"] == pytest.approx(
        fused.measures["nDCG@10"] - words.measures["nDCG@10"]
    )
    assert lw.compare(words, words).systems == ("bm25", "bm25 (2)")
    assert (tmp_path / "kept").is_dir()
    with pytest.raises(TypeError, match="expected an Evaluation or a run folder; got int"):
        lw.compare(words, 3)  # type: ignore[arg-type]


def test_pairs_are_judged_by_similarity(tmp_path: Path) -> None:
    rows = [
        "score\tsentence1\tsentence2",
        "5\ta cat\ta cat",
        "1\ta cat\tthe sea",
        "3\ttea\thot tea",
    ]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows) + "\n")
    found = lw.evaluate(tmp_path / "pairs.tsv", lw.load_encoder("bundled"))
    assert found.dataset == "pairs" and -1 <= next(iter(found.measures.values())) <= 1
    with pytest.raises(ValueError, match="pairs are judged by dense rows"):
        lw.evaluate(tmp_path / "pairs.tsv", "bm25")


def test_a_tuning_runs_on_an_open_index_and_on_its_folder(tmp_path: Path) -> None:
    texts = [f"document {at} about {word}" for at, word in enumerate(["tea", "keys", "lava"] * 4)]
    index = lw.build(tmp_path / "i", texts)
    queries = {f"q{at}": text.split()[-1] + f" {at}" for at, text in enumerate(texts)}
    qrels = {f"q{at}": {str(at): 1} for at in range(len(texts))}
    outcome = lw.tune(index, queries, qrels, budget="20k-tokens")
    assert outcome.verdict in ("keep the default", "take the new prompt")
    assert lw.tune(tmp_path / "i", queries, qrels, budget="20k-tokens").reason == outcome.reason
    assert (tmp_path / "i.tuned" / "journal.jsonl").is_file()
    with pytest.raises(ValueError, match="no query is judged"):
        lw.tune(index, queries, {})


def test_an_index_of_two_documents_is_not_tuned(tmp_path: Path) -> None:
    """It was searched to its end, though no gain of two queries can be told from chance."""
    index = lw.build(tmp_path / "i", ["green tea is steeped", "rotate the key"])
    queries, qrels = {"q0": "tea", "q1": "key"}, {"q0": {"0": 1}, "q1": {"1": 1}}
    with pytest.raises(ValueError, match=r"needs 6 queries that differ.*; 2 came, 2 of them"):
        lw.tune(index, queries, qrels, budget="5k-tokens")


NOISE = "bread yeast oven river stone heart blood planet orbit"


def test_python_estimates_and_applies_as_the_command_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """lw.tune had neither: the command alone could say what it takes, and write the prompt."""
    texts = [f"{' '.join(TOPICS[at % 5].split()[at % 3 :])} number{at}" for at in range(40)]
    queries = {f"q{at}": f"number{at}" for at in range(40)}
    qrels = {f"q{at}": {str(at): 1} for at in range(40)}
    form = PromptVariant("", (Template(f"{NOISE} {{text}} {NOISE}"),), (Template("{text}"),))
    prompt, path = Prompt("noisy", (form,), ReadoutRules(sparse=None)), tmp_path / "i"
    lw.build(path, texts, prompt=prompt).close()
    options = lw.TuningOptions("40k-tokens", proposer="prune", channels="dense")
    asked = (path, queries, qrels, "", options)
    estimate = lw.estimate_tuning(*asked)
    (tmp_path / "q.tsv").write_text("".join(f"{one}\t{text}\n" for one, text in queries.items()))
    (tmp_path / "j").write_text("".join(f"q{at} 0 {at} 1\n" for at in range(40)))
    command = ["tune", str(path), "--queries", str(tmp_path / "q.tsv"), "--qrels"]
    command += [str(tmp_path / "j"), "--budget", "40k-tokens", "--proposer", "prune", "--dry-run"]
    assert main([*command, "--channels", "dense", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == estimate.keys() and not (tmp_path / "i.tuned").exists()
    assert all(told[key] == estimate[key] for key in told if "seconds" not in key)
    with pytest.raises(ValueError, match="its query prompt stays; give --free-query-prompt"):
        lw.tune(*asked, apply=True)
    assert not (tmp_path / "i.tuned").exists()
    outcome = lw.tune(*asked, apply=True, free_query_prompt=True)
    assert outcome.verdict == "take the new prompt" and outcome.taken is not None
    with lw.open(path) as index:
        spec = index.retriever.index.channels["dense"]
        assert parse_prompt(json.loads(spec.recipe)["prompt"]).forms == outcome.prompt.forms
