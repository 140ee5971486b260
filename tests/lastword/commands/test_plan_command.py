"""`lastword plan`: tables that are whole, JSON with formulas, and errors in one line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.checkpoints.bundled import BUNDLED_MODEL
from lastword.main import main

GIVEN = ["plan", "--documents", "1000000000", "--tokens", "200", "--gpu", "h100:8", "--no-probe"]


def test_the_tables_are_whole_at_80_columns(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[int], None]
) -> None:
    terminal(80)
    assert main(GIVEN) == 0
    shown = capsys.readouterr()
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "…" not in shown.out and "no room" not in shown.out
    assert "960.0  GB" in shown.out  # 1 G x (4.5 x 200 + 60)


def test_every_figure_has_its_formula(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*GIVEN, "--json"]) == 0
    groups = json.loads(capsys.readouterr().out)
    assert set(groups) == {"collection", "index", "memory", "encoding", "factories", "scale"}
    assert all(figure["formula"] for figures in groups.values() for figure in figures)
    assert main([*GIVEN, "--formulas"]) == 0
    assert "texts and ids: N (4.5 T + 60)" in capsys.readouterr().err


def test_what_is_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--documents", "3", "--no-probe"]) == 2
    assert "a plan needs a source, or documents and tokens" in capsys.readouterr().err


def test_an_assumption_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with config.json alone has no tokenizer, by which the tokens of a prompt count."""
    shutil.copy(BUNDLED_MODEL / "config.json", tmp_path)
    assert main([*GIVEN, "--model", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "has no tokenizer here, so the tokens of its prompt, 20 before" in said
    assert main([*GIVEN, "--prompt", "prompteol"]) == 0
    assert "assumed" not in capsys.readouterr().err
