"""What is measured of the bundled model: goals and means by hand, and a small model measured."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bundled, record
from benchmarks.bundled_prompts import phrasings, seen, spread_figures, ten
from benchmarks.bundled_retrieval import judged
from benchmarks.bundled_section import Figure, Section, Subject
from benchmarks.bundled_tp import Choice, as_chosen, choices, with_placeholder
from benchmarks.results import RUNS
from embedder.prompts.files import parse_prompt
from embedder.prompts.method_rules import PrependingRules
from embedder.train.pretrain.settings import TEMPLATES
from embedder.types import Role
from eval.measures.measures import Values
from eval.runs.record import Record, RunCost
from tests.models import save_llama
from tests.synthetic import documents, queries

OWN = "name = 'own'\n[both]\ntemplate = 'text : \"{text}\" in one word : \"'\n"


def test_goals_by_hand() -> None:
    assert Figure("a", 0.56, low=0.56).reached and not Figure("a", 0.559, low=0.56).reached
    assert Figure("a", 2.0, 2.0, 15.0).reached and not Figure("a", 15.1, 2.0, 15.0).reached
    assert Figure("a", 9.0).reached is None
    told = Figure("spread", 15.125, 2.0, 15.0, note="x").cells
    assert told == ("spread", ">= 2.00, <= 15.00", "15.12 (x)", "**no**")


def test_the_ten_prompts_differ_and_suit_any_model() -> None:
    prompts = ten()
    assert len(prompts) == 10 and all(name == one.name for name, one in prompts.items())
    wordings = [(one.forms[0].query[0], one.forms[0].document[0]) for one in prompts.values()]
    assert len(set(wordings)) == 10
    for one in prompts.values():
        assert [form.needs for form in one.forms] == [""] and one.reading.at_last_token
    endings = {query.text.partition("{text}")[2][-1] for query, _ in wordings}
    assert len(endings) >= 3  # a quote, a colon, a letter


def test_what_was_seen_in_training_is_told_by_its_wording() -> None:
    learned = phrasings()
    assert all(TEMPLATES[role] in learned[role] for role in Role)
    only = {Role.QUERY: {"q {text}"}, Role.DOCUMENT: {"d {text}"}}
    for query, document, told in (("q", "d", "yes"), ("q", "x", "query"), ("x", "y", "no")):
        sides = {"query": query, "document": document}.items()
        worded = [f"[{side}]\ntemplate = '{start} {{text}}'" for side, start in sides]
        prompt = parse_prompt("\n".join(["name = 'p'", *worded]))
        assert seen(prompt, only) == told


def column(means: dict[str, float]) -> dict[str, Values]:
    """Return prompts with four queries around each mean."""
    steps = (-0.02, -0.01, 0.01, 0.02)
    return {
        name: {"nDCG@10": {str(at): mean + step for at, step in enumerate(steps)}}
        for name, mean in means.items()
    }


@pytest.mark.parametrize(
    ("marks", "ahead"), [("yes no no", 0), ("no yes no", 1), ("no no yes", 2), ("no no query", 0)]
)
def test_spread_and_who_leads_by_hand(marks: str, ahead: int) -> None:
    held = column({"best": 0.5, "middle": 0.45, "worst": 0.4})
    apart, beaten = spread_figures(held, dict(zip(held, marks.split(), strict=True)))
    assert apart.value == pytest.approx(10.0) and apart.reached
    assert beaten.value == ahead
    assert beaten.reached is (ahead > 0 if "yes" in marks else None)


def test_means_over_collections_and_over_queries_by_hand() -> None:
    """The mean of collections counts each once, the pooled difference each query once."""
    records = {}
    for name, size, gain in (("scifact", 30, 0.01), ("cisi", 10, 0.05)):
        base = np.linspace(0.1, 0.6, size)
        values = {
            run: {"nDCG@10": {str(at): float(held) for at, held in enumerate(base + more)}}
            for run, more in zip(RUNS, (0.0, 0.1, 0.2, gain), strict=True)
        }
        records[name] = Record("retrieval", name, values, "fused", {}, RunCost({}, {}, 0))
    dense, sparse, mean, p = judged(records, "command").figures
    assert dense.value == pytest.approx(0.45) and sparse.value == pytest.approx(0.55)
    assert mean.value == pytest.approx(0.03) and mean.reached
    assert p.reached and "+0.0200" in p.note  # (30 * .01 + 10 * .05) / 40


def test_choices_of_layers_by_hand() -> None:
    plain, copied = [Choice(0, 0, 1), Choice(0, 0, 2)], [Choice(0, 1, 1)]
    assert list(choices(2)) == [*plain, *copied, Choice(0, 1, 2), Choice(0, 2, 2), Choice(1, 2, 2)]
    assert len(set(choices(4))) == 4 + 1 + 3 + 6 + 10


def test_a_placeholder_goes_before_the_quote_and_leaves_no_trace() -> None:
    own = parse_prompt(OWN)
    placed = with_placeholder(own)
    assert placed.forms[0].query[0].text == 'text : {placeholder} "{text}" in one word : "'
    assert as_chosen(placed, Choice(0, 0, 1)).forms == own.forms
    chosen = as_chosen(placed, Choice(1, 2, 2))
    assert chosen.prepend == PrependingRules(1, 2) and chosen.reading.layer == 2


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """A random model, 40 documents with 8 queries, and 29 pairs in each set."""
    folder = tmp_path_factory.mktemp("bundled")
    model = save_llama(folder / "model", chat=False)
    (model / "prompt.toml").write_text(OWN)
    place = folder / "data/retrieval/scifact"
    (place / "qrels").mkdir(parents=True)
    held, asked = list(documents(40)), queries(8)
    lines = [{"_id": one.id, "title": one.title, "text": one.text} for one in held]
    (place / "corpus.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    lines = [{"_id": name, "text": text} for name, text in asked.items()]
    (place / "queries.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [f"{name}\t{one.id}\t1\n" for at, name in enumerate(asked) for one in held[at::8]]
    (place / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows))
    (folder / "data/sts").mkdir()
    for name in ("stsb-dev", "stsb-test", "sickr-test"):
        rows = [f"{at % 6}\t{held[at].text}\t{held[at + 1].text}\n" for at in range(29)]
        text = "score\tsentence1\tsentence2\n" + "".join(rows)
        (folder / f"data/sts/{name}.tsv").write_text(text)
    return Subject(str(model), folder / "data", folder / "runs")


def test_a_model_is_measured_and_the_page_keeps_what_was(
    small: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "RESULTS", tmp_path / "results.jsonl")
    places = ["--model", small.model, "--data", str(small.data), "--runs", str(small.runs)]
    out = tmp_path / "page.md"
    for names in ("sts,tp", "prompts"):
        bundled.main([*places, "--only", names, "--out", str(out)])
    page = out.read_text()
    assert "Not measured yet: size, speed, retrieval." in page
    assert page.count("**no**") + page.count(" yes |") >= 2
    assert all(f"| {name} |" in page for name in ten())
    lines = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["bundled/sts", "bundled/tp", "bundled/prompts"]
    assert {line["model_digest"] for line in lines} == {small.digest}
    kept = Section.read(small.work / "sections/prompts.json")
    assert len(kept.facts["nDCG@10"]) == 11 and len(kept.figures) == 2


def test_other_weights_have_other_runs(small: Subject, tmp_path: Path) -> None:
    other = Subject(str(save_llama(tmp_path / "model", seed=1)), small.data, small.runs)
    assert other.work != small.work
    with pytest.raises(ValueError, match="is no model"):
        Subject(str(tmp_path / "none"), small.data, small.runs)
