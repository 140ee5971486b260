"""The matrix: equal to judging apart, resumed without reading twice, never over the budget."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from embedder.encoders.llm import LLMEncoder
from embedder.encoders.prompted import load_prompted
from embedder.encoders.shared_prefix import encode_prompts_together
from embedder.encoders.specs import LLMSpec
from embedder.models.loading import LLMOptions, load_backbone
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.prompts.method_rules import ExampleRules
from embedder.prompts.prompt import Prompt
from embedder.types import Representation, Role
from eval.data.local import BeirFolder
from eval.data.pairs import PairSet, SentencePair
from eval.matrix.cells import MatrixRequest
from eval.matrix.ledger import Ledger
from eval.matrix.run import LEDGER, WORK, Data, Matrix, run_matrix
from eval.runs.record import Record
from eval.runs.run_folder import RunFolder
from eval.tasks.retrieval import JudgeOptions, judge
from eval.tasks.sts import judge as judge_pairs
from tests.models import save_llama
from tests.synthetic import documents, queries

OPTIONS = LLMOptions(dtype="float32", max_text_tokens=60)


def prompt(name: str, query: str, document: str) -> Prompt:
    return parse_prompt(
        f"name = '{name}'\n[query]\ntemplate = '{query}'\n[document]\ntemplate = '{document}'\n"
    )


PROMPTS: dict[str, Prompt | None] = {
    "word": prompt("word", 'q: "{text}" in one word: "', 'd: "{text}" in one word: "'),
    "means": prompt("means", 'q: "{text}" means', 'd: "{text}" means'),
    "asked": prompt("asked", 'ask: "{text}" now', 'd: "{text}" means'),
    "mean": load_prompt("mean"),
    "sampled": replace(load_prompt("rice"), sample=ExampleRules(count=2, max_tokens=8)),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {name: str(save_llama(folder / name, seed)) for seed, name in enumerate(("one", "two"))}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[Data]:
    folder = tmp_path_factory.mktemp("data") / "small"
    return [collection(folder), pairs()]


def collection(folder: Path) -> BeirFolder:
    (folder / "qrels").mkdir(parents=True)
    texts, asked = list(documents(40)), queries(8)
    lines = [{"_id": one.id, "title": one.title, "text": one.text} for one in texts]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    lines = [{"_id": name, "text": text} for name, text in asked.items()]
    (folder / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    judged = [f"{name}\t{one.id}\t1\n" for at, name in enumerate(asked) for one in texts[at::8]]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(judged))
    return BeirFolder(folder)


def pairs() -> PairSet:
    texts = [one.text for one in documents(30, seed=5)]
    made = (SentencePair(float(at % 6), texts[at], texts[at + 1]) for at in range(29))
    return PairSet("pairs", tuple(made))


def asked(models: dict[str, str], **more: object) -> MatrixRequest:
    return replace(MatrixRequest(PROMPTS, models, options=OPTIONS), **more)  # type: ignore[arg-type]


def assert_equal_values(record: Record, apart: Record) -> None:
    """Compare every item of every measure and run; passes together round unlike passes apart."""
    assert list(record.values) == list(apart.values)
    for run, measures in apart.values.items():
        assert list(record.values[run]) == list(measures)
        for measure, values in measures.items():
            assert record.values[run][measure] == pytest.approx(values, abs=1e-4)


def figures(matrix: Matrix) -> dict[tuple[str, str, str], object]:
    return {
        (cell.model, cell.prompt, cell.dataset): cell.record.values if cell.record else None
        for cell in matrix.cells
    }


class Spy:
    """Counts what goes through models."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_at: int = 10**9) -> None:
        self.calls = 0

        def spied(encoders: list[LLMEncoder], texts: list[str], role: Role) -> list[Representation]:
            self.calls += 1
            if self.calls > stop_at:
                raise KeyboardInterrupt
            return encode_prompts_together(encoders, texts, role)

        monkeypatch.setattr("eval.matrix.shared_encoder.encode_prompts_together", spied)


def test_cells_are_those_of_judging_apart(
    models: dict[str, str], data: list[Data], tmp_path: Path
) -> None:
    matrix = run_matrix(asked(models), data, tmp_path)
    assert len(matrix.cells) == len(models) * len(data) * len(PROMPTS)
    for cell in matrix.cells:
        pairs_have_none = (cell.prompt, cell.dataset) == ("sampled", "pairs")
        assert (cell.record is None) == pairs_have_none, cell.refused
    refused = {cell.refused for cell in matrix.cells if cell.refused}
    assert len(refused) == 1 and "collection" in refused.pop()
    backbone, options = load_backbone(models["two"], OPTIONS)
    small = data[0]
    assert isinstance(small, BeirFolder)
    for name, rules in PROMPTS.items():
        if name == "sampled" or rules is None:
            continue
        encoder = LLMEncoder(backbone, rules.reading_only(dense=True, sparse=False), options)
        folder = RunFolder.open(tmp_path / "two" / name)
        assert set(folder.records) == {"small", "pairs"}
        [apart] = judge_pairs([pairs()], encoder)
        assert_equal_values(folder.records["pairs"], apart)
        index = tmp_path / "apart" / f"{name}.index"
        record = judge(small, {"dense": encoder}, index, JudgeOptions(latencies=0))
        assert_equal_values(folder.records["small"], record)
        assert len(folder.queries("small")) == 8 and folder.index_path("small") is not None
    assert matrix.ledger.spent < matrix.ledger.apart
    json.dumps(matrix.to_json(), allow_nan=False)


def test_a_prompt_that_shows_the_collection_is_judged_as_by_itself(
    models: dict[str, str], data: list[Data], tmp_path: Path
) -> None:
    """RICE was refused: the matrix did not draw its examples."""
    one = asked({"one": models["one"]})
    small = data[0]
    assert isinstance(small, BeirFolder)
    run_matrix(one, [small], tmp_path)
    rice = PROMPTS["sampled"]
    assert rice is not None
    spec = LLMSpec(models["one"], rice, ("dense",), "float32", 60)
    texts = (document.content for document in small.documents())
    encoder = load_prompted(spec, models["one"], OPTIONS, texts)
    index = tmp_path / "apart.index"
    apart = judge(small, {"dense": encoder}, index, JudgeOptions(latencies=0))
    assert_equal_values(RunFolder.open(tmp_path / "one" / "sampled").records["small"], apart)
    word = {"word": PROMPTS["word"], "sampled": rice}
    mixed = asked({"one": models["one"]}, side="query", base="word", prompts=word)
    refused = run_matrix(mixed, [small], tmp_path / "mixed").cells[1].refused
    assert refused == "it shows examples before texts of both sides; judge it by side both"


def test_equal_documents_are_read_once(
    models: dict[str, str], data: list[Data], tmp_path: Path
) -> None:
    run_matrix(asked({"one": models["one"]}), data[:1], tmp_path)
    ledger = Ledger.read(tmp_path / WORK / LEDGER)
    sides = {charge.what.rpartition(" ")[2]: charge.sides for charge in ledger.charges[:1]}
    documents_read = sum(len(c.sides) for c in ledger.charges if c.what.endswith("document"))
    queries_read = sum(len(c.sides) for c in ledger.charges if c.what.endswith("query"))
    assert (documents_read, queries_read) == (4, 5)  # "means" and "asked" read documents alike
    assert len(sides["document"]) == 2  # "word" and "means" together
    assert len(list((tmp_path / WORK / "indexes").glob("*.index"))) == 4


def test_progress_counts_every_pass_over_the_texts(
    models: dict[str, str], data: list[Data], tmp_path: Path
) -> None:
    """Prompts that are read apart were counted beyond the total: 7,602 of 5,007 texts."""
    totals: list[tuple[int, list[int]]] = []

    @contextmanager
    def watch(label: str, total: int) -> Iterator[Callable[[int], None]]:
        counts: list[int] = []
        totals.append((total, counts))
        yield counts.append

    run_matrix(asked(models), data, tmp_path, watch)
    assert totals and all(counts[-1] == total for total, counts in totals)
    assert all(counts == sorted(counts) for _, counts in totals)


def test_one_side_only(models: dict[str, str], data: list[Data], tmp_path: Path) -> None:
    one = {"one": models["one"]}
    matrix = run_matrix(asked(one, side="query", base="means"), data[:1], tmp_path)
    documents_read = [c for c in matrix.ledger.charges if c.what.endswith("document")]
    assert [len(charge.sides) for charge in documents_read] == [1]
    refused = {cell.prompt: cell.refused for cell in matrix.cells}
    assert "other rules" in refused["mean"] and not refused["word"]
    both = run_matrix(asked(one), data[:1], tmp_path / "both")
    found, whole = figures(matrix), figures(both)
    assert found["one", "asked", "small"] == whole["one", "asked", "small"]


@pytest.mark.parametrize("calls", [0, 2, 4])
def test_interrupted_it_goes_on_with_the_same_matrix(
    models: dict[str, str],
    data: list[Data],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: int,
) -> None:
    wanted = asked({"one": models["one"]}, budget=9000)
    spy = Spy(monkeypatch)
    whole = run_matrix(wanted, data, tmp_path / "whole")
    monkeypatch.undo()
    Spy(monkeypatch, stop_at=calls)
    with pytest.raises(KeyboardInterrupt):
        run_matrix(wanted, data, tmp_path / "cut")
    monkeypatch.undo()
    rest = Spy(monkeypatch)
    again = run_matrix(wanted, data, tmp_path / "cut")
    assert rest.calls == spy.calls - calls
    assert figures(again) == figures(whole) and again.ledger == whole.ledger
    run_matrix(wanted, data, tmp_path / "cut")
    assert rest.calls == spy.calls - calls  # finished: nothing more is read


@pytest.mark.parametrize("budget", [0, 2500, 5000, 9000, 10**6])
def test_the_budget_is_respected(
    models: dict[str, str], data: list[Data], tmp_path: Path, budget: int
) -> None:
    wanted = asked(models, budget=budget)
    planned = run_matrix(wanted, data, tmp_path, dry_run=True)
    assert not list(tmp_path.iterdir())
    matrix = run_matrix(wanted, data, tmp_path)
    assert matrix.ledger == planned.ledger and matrix.ledger.spent <= budget
    for cell, plan in zip(matrix.cells, planned.cells, strict=True):
        assert cell.decision == plan.decision
        if cell.decision is not None and not cell.decision.runs:
            assert cell.record is None and cell.decision.tokens > budget - matrix.ledger.spent
    if budget == 10**6:
        tokens = sum(cell.decision.tokens for cell in matrix.cells if cell.decision)
        assert tokens == matrix.ledger.spent
    assert any(cell.record for cell in matrix.cells) == (budget > 0)


def test_what_was_dropped_after_an_interruption_is_paid_again(
    models: dict[str, str], data: list[Data], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "word" and "means" were charged for one pass; read apart, they once cost more than that."""
    one = {"one": models["one"]}
    both = asked(one, prompts={name: PROMPTS[name] for name in ("word", "means")})
    Spy(monkeypatch, stop_at=0)
    with pytest.raises(KeyboardInterrupt):
        run_matrix(both, data[:1], tmp_path)
    monkeypatch.undo()
    together = Ledger.read(tmp_path / WORK / LEDGER).spent
    fewer = replace(both, prompts={"word": PROMPTS["word"]})
    assert run_matrix(fewer, data[:1], tmp_path).ledger.spent == together
    last = run_matrix(both, data[:1], tmp_path)
    encoder = last.cells[1].decision
    assert encoder is not None and last.ledger.spent == together + encoder.tokens
    assert encoder.tokens > 0


def test_what_cannot_be_asked(models: dict[str, str], data: list[Data], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="side"):
        asked(models, side="query")
    with pytest.raises(ValueError, match="bm25"):
        asked(models, channels=("bm25",))
    with pytest.raises(ValueError, match="called 'small'"):
        run_matrix(asked(models), [data[0], data[0]], tmp_path)


def test_channels_are_fused(models: dict[str, str], data: list[Data], tmp_path: Path) -> None:
    one = asked({"one": models["one"]}, channels=("dense", "sparse", "bm25"))
    matrix = run_matrix(one, data, tmp_path)
    record = matrix.column("small", "one")["word"]
    assert list(record.values) == ["dense", "sparse", "bm25", "fused"]
    assert record.counted == "fused" and matrix.column("pairs", "one")["word"].counted == "dense"


def test_cells_of_other_data_are_judged_again(models: dict[str, str], tmp_path: Path) -> None:
    """A data set of the same name, whose texts had changed, kept its old figures."""
    one = asked({"one": models["one"]}, prompts={"mean": PROMPTS["mean"]})
    small = collection(tmp_path / "data" / "small")
    run_matrix(one, [small, pairs()], tmp_path / "out")
    changed = PairSet("pairs", pairs().pairs[1:])
    corpus = tmp_path / "data" / "small" / "corpus.jsonl"
    lines = corpus.read_text().splitlines(keepends=True)
    corpus.write_text("".join(lines).replace(json.loads(lines[0])["text"], "other words"))
    matrix = run_matrix(one, [small, changed], tmp_path / "out")
    assert matrix.changed == ("small", "pairs")
    assert figures(matrix) == figures(run_matrix(one, [small, changed], tmp_path / "fresh"))
    assert run_matrix(one, [small, changed], tmp_path / "out").changed == ()
