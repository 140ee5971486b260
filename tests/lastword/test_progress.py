"""Progress moves batch by batch: a slow model reads a text a second, and 256 texts are minutes."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import lastword as lw
from embedder.encoders.bm25 import BM25Encoder
from embedder.encoders.llm import LLMEncoder
from embedder.models.loading import LLMOptions
from embedder.progress import tell_encoded, watching
from embedder.prompts.files import load_prompt, parse_prompt
from embedder.types import Encoder, Role
from eval.matrix.shared_encoder import SharedRows
from eval.tasks.sentence_vectors import SentenceRows
from index.documents import Document
from lastword.cli.options import Output
from lastword.cli.screen import Screen
from retrieval.build import build_index
from retrieval.options import BuildOptions
from tests.exchanged import make_index
from tests.models import load_llm

TEXTS = [f"volcano lava number {at} " + "magma " * (at % 7) for at in range(60)]


@pytest.fixture(scope="module")
def encoder(llama: Path) -> LLMEncoder:
    """Make an encoder whose batches hold a few texts."""
    return load_llm(llama, options=LLMOptions(token_budget=200))


def test_a_call_is_told_batch_by_batch_and_changes_nothing(encoder: LLMEncoder) -> None:
    told: list[int] = []
    with watching(told.append, len(TEXTS)):
        rows = encoder.encode(TEXTS, Role.DOCUMENT)
    assert told == sorted(told) and told[-1] == len(TEXTS) and len(told) > 10
    again = encoder.encode(TEXTS, Role.DOCUMENT)
    assert rows.dense is not None and again.dense is not None
    np.testing.assert_array_equal(rows.dense, again.dense)
    assert len(told) < 2 * len(TEXTS) and told[-1] == len(TEXTS)  # nobody is told any more


@pytest.mark.parametrize("cache", [False, True])
def test_a_build_moves_within_a_window(encoder: LLMEncoder, tmp_path: Path, cache: bool) -> None:
    documents = [Document(f"d{at}", "", text) for at, text in enumerate(TEXTS)]
    encoders: dict[str, Encoder] = {"dense": encoder, "sparse": encoder, "bm25": BM25Encoder()}
    told: list[int] = []
    build_index(documents, encoders, tmp_path / "i", BuildOptions(cache=cache), told.append)
    assert told == sorted(told) and (told[0], told[-1]) == (0, len(TEXTS))
    assert len(set(told)) > 10


def test_sentences_move_within_a_window(encoder: LLMEncoder) -> None:
    told: list[int] = []
    rows = SentenceRows(encoder)
    rows.of(TEXTS[:20], told.append)
    rows.of(TEXTS, told.append)
    assert told == sorted(told) and told[-1] == len(TEXTS) and len(set(told)) > 10


def test_prompts_that_are_read_together_move_within_a_window(llama: Path, tmp_path: Path) -> None:
    plain = load_prompt("promptreps")
    whole = parse_prompt("name = 'w'\n[both]\ntemplate = 'say {text}'\n")
    options = LLMOptions(token_budget=200)
    first = load_llm(llama, plain, options)
    encoders = [first, LLMEncoder(first.backbone, whole, first.options)]
    told: list[int] = []
    shared = SharedRows(encoders, Role.DOCUMENT, tmp_path / "rows", TEXTS, told.append)
    shared.readers[0].encode(TEXTS, Role.DOCUMENT)
    assert sum(told) == len(TEXTS) and min(told) >= 0 and sum(one > 0 for one in told) > 10


def test_more_passes_than_texts_count_no_more_than_the_texts() -> None:
    told: list[int] = []
    with watching(told.append, 5):
        for _ in range(4):
            tell_encoded(2)
    assert told == [2, 4, 5, 5]


def test_what_is_made_ready_is_none_of_the_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An export's documents a second counted the seconds in which its model was loaded."""
    monkeypatch.setattr("lastword.cli.screen.LONG", 0.0)
    with Screen(Output()).progress("Writing", 3, "documents") as advance:
        time.sleep(1)  # as if a model were loaded
        advance(0)
        advance(3)
    said = capsys.readouterr().err.split()
    assert said[:5] == ["Writing:", "3", "documents", "in", said[4]]
    assert said[5] == "ms" and int(said[4]) < 900
    told: list[int] = []
    with lw.build(None, TEXTS[:5], "bm25") as index:
        lw.export_index(index.path, "beir", index.path.parent / "beir", progress=told.append)
    assert told == [0, 5]


def test_models_of_queries_are_there_before_documents_are_written(tmp_path: Path) -> None:
    """One was loaded after the last document, within the time that the documents took."""
    told: list[int] = []
    options = lw.ExportOptions(("dense",), {"q": "of an encoder that no index can name"})
    with pytest.raises(ValueError, match="does not say how channel 'dense' reads texts"):
        lw.export_index(
            make_index(tmp_path / "i", 5), "npy", tmp_path / "out", options, told.append
        )
    assert told == []


def test_a_file_of_the_log_hears_of_long_work_before_it_is_over(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of reading a collection left a redirected log empty until its end."""
    monkeypatch.setattr("lastword.cli.screen.LINE_EVERY", 0.0)
    with Screen(Output()).progress("Reading", 3, "texts") as advance:
        for done in range(1, 4):
            advance(done)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" texts")[0] for line in lines] == ["Reading: 1 of 3", "Reading: 2 of 3"]
    assert "texts/s" in lines[0]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_a_bar_stays_on_its_line(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 80 columns the bar of a tuning took two lines, whose second one said the speed."""
    stream = io.StringIO()
    console = Console(file=stream, width=columns, force_terminal=True)
    monkeypatch.setattr("lastword.cli.screen._console", lambda stderr: console)
    status = "evolve: best 0.5584, default 0.5584, 270 prompts, 24 to the end, 1,234 tokens/s"
    with Screen(Output()).stages() as show:
        show("Tuning", 0.5, 1.0, status)
    shown = stream.getvalue()
    assert "evolve: best 0.5584" in shown and ("tokens/s" in shown) == (columns == 140)
    assert shown.count("\n") == 1
