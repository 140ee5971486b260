"""Commands that need an index in a folder refuse one in Milvus: one line, code 2, nothing made."""

from pathlib import Path

import pytest
from typer.main import get_command

from lastword.app import app
from lastword.main import main

ADDRESS = "milvus:http://127.0.0.1:1/docs"
JUDGED = ["--queries", "q.jsonl", "--qrels", "q.tsv"]
TAKEN = ("search", "explain", "robustness")
"""Commands that reach an index in Milvus."""
REFUSED = [
    ["index", "texts.jsonl", "-o", ADDRESS],
    ["add", ADDRESS, "texts.jsonl"],
    ["sync", ADDRESS],
    ["sync", ADDRESS, "texts.jsonl", "--watch"],
    ["delete", ADDRESS, "1"],
    ["merge", ADDRESS],
    ["merge", ADDRESS, "--refit"],
    ["check", ADDRESS],
    ["info", ADDRESS],
    ["serve", ADDRESS],
    ["mcp", ADDRESS],
    ["list", ADDRESS],
    ["get", ADDRESS, "1"],
    ["export", ADDRESS, "--to", "npz", "-o", "out"],
    ["import", "parquet", "none.parquet", "-o", ADDRESS],
    ["import", "parquet", "none.parquet", "-o", ADDRESS, "--overwrite"],
    ["push", ADDRESS, "--to", "milvus:other.db/docs"],
    ["fuse", "a=one.trec", "b=two.trec", "--sweep", "--qrels", "q.tsv", "--into", ADDRESS],
    ["tune", ADDRESS, *JUDGED],
    ["tune", ADDRESS, *JUDGED, "--dry-run"],
    ["tune", ADDRESS, "--no-qrels"],
    ["devset", ADDRESS, "--out", "made"],
    ["recall", ADDRESS, "--factory", "Flat"],
]


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_an_index_in_milvus_is_refused_where_a_folder_is_needed(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`index -o` made a folder of that name; `check` called the collection damaged."""
    monkeypatch.chdir(tmp_path)
    Path("texts.jsonl").write_text('{"_id": "1", "text": "green tea"}\n')
    Path("q.jsonl").write_text('{"_id": "1", "text": "tea"}\n')
    Path("q.tsv").write_text("query-id\tcorpus-id\tscore\n1\t1\t1\n")
    for name in ("one", "two"):
        Path(f"{name}.trec").write_text("1 Q0 1 1 1.0 x\n")
    before = sorted(tmp_path.iterdir())
    assert main(arguments) == 2
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"lastword: {ADDRESS} lies in Milvus, where ")
    assert written.err.endswith("`lastword push` brings there what changes\n")
    assert written.err.count("\n") == 1 and sorted(tmp_path.iterdir()) == before


def test_every_command_that_takes_an_index_is_tried() -> None:
    commands = getattr(get_command(app), "commands")  # noqa: B009  (a group; typer hides its type)
    taking = {
        name
        for name, command in commands.items()
        for parameter in command.params
        if str(parameter.metavar or "").startswith("INDEX")
    }
    assert {"tune", "serve", "export"} < taking
    assert taking - set(TAKEN) <= {arguments[0] for arguments in REFUSED}


def test_name_and_password_of_an_address_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["info", "milvus:http://name:secret@127.0.0.1:1/docs"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("lastword: …@127.0.0.1:1/docs lies in Milvus") and "secret" not in error
