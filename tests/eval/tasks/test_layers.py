"""Blocks compared by how they retrieve: the top is what the encoder's own rows give."""

import json
from pathlib import Path

import numpy as np
import pytest

from embedder.inspect.layer_states import LayerReader
from embedder.prompts.files import load_prompt
from embedder.types import Role
from eval.data.collections import open_collection
from eval.measures.measures import evaluate
from eval.tasks.layers import LayerSample, draw_sample, judge_layers
from lastword.main import main
from tests.eval.tasks.test_beir import DOCUMENTS, QRELS, QUERIES, write_collection
from tests.models import load_llm


def test_the_top_is_judged_as_the_encoder_is(llama: Path, tmp_path: Path) -> None:
    encoder = load_llm(llama, load_prompt("prompteol"))
    sample = LayerSample(measure="RR")
    drawn = draw_sample(open_collection(write_collection(tmp_path / "tiny")), sample)
    curve = judge_layers(LayerReader(encoder), drawn, "top", sample)
    asked = {name: QUERIES[name] for name in QRELS if any(QRELS[name].values())}
    rows = encoder.encode([*DOCUMENTS.values()], Role.DOCUMENT).dense
    ours = encoder.encode([*asked.values()], Role.QUERY).dense
    assert rows is not None and ours is not None
    run = {
        name: dict(zip(DOCUMENTS, line, strict=True))
        for name, line in zip(asked, (ours @ rows.T).tolist(), strict=True)
    }
    values = evaluate(run, {name: QRELS[name] for name in asked}, ["RR"])["RR"]
    assert curve.scores[-1].mean == pytest.approx(np.mean([*values.values()]))
    assert curve.queries == len(asked) and curve.documents == len(DOCUMENTS)
    top = curve.scores[-1].gain
    assert top is not None and top.low == top.high == 0
    cosines = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
    assert curve.scores[-1].cosine == pytest.approx(cosines.mean(), abs=1e-5)


def test_a_sample_holds_what_is_relevant_first(tmp_path: Path) -> None:
    collection = open_collection(write_collection(tmp_path / "tiny"))
    drawn = draw_sample(collection, LayerSample(queries=1, documents=1, seed=3))
    ((query, gains),) = drawn.qrels.items()
    relevant = {name for name, gain in gains.items() if gain > 0} & DOCUMENTS.keys()
    assert {document.id for document in drawn.documents} == relevant and gains == QRELS[query]
    assert drawn.queries == {query: QUERIES[query]} and drawn.texts == 1 + len(relevant)
    everything = draw_sample(collection, LayerSample()).documents
    assert [document.id for document in everything] == [*DOCUMENTS]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "layers", "promptreps", "green tea", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["depth"] for one in told] == [0, 1, 2] and len(told[0]["words"]) == 3
    place = str(write_collection(tmp_path / "tiny"))
    assert main(["prompts", "layers", "promptreps", "--judge", place]) == 0
    shown = capsys.readouterr()
    assert "embedding" in shown.out and "Best: layer =" in shown.err
    assert main(["prompts", "layers", "promptreps", "--judge", place, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["scores"]) == 3
    assert main(["prompts", "layers", "promptreps"]) == 2
    assert "give a text, or a collection" in capsys.readouterr().err
