"""Records, configurations, journals and recipes that were damaged or are another program's."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedder.encoders.specs import LLMSpec, from_json, to_json
from embedder.prompts.files import load_prompt
from embedder.train.progress import LogFile
from eval.matrix.ledger import Ledger
from eval.runs.record import Record, RunCost
from eval.runs.run_folder import read_config
from tuning.search.journal import Journal

COST = RunCost({"search": 0.5}, {"bm25": {"texts": 2}}, 1000, (1.5,))
RECORD = Record(
    *("retrieval", "tiny", {"bm25": {"AP": {"q1": 1.0}}}, "bm25", {"bm25": '{"kind":"bm25"}'}),
    COST,
    {"documents": 3, "build": {"seconds": 1.5, "counts": {"bm25": {"texts": 2}}}},
)
DEEP = "[" * 100_000


def fault(read: Callable[[], object]) -> str:
    """Return the one line that reading ends in."""
    with pytest.raises(ValueError) as raised:
        read()
    said = str(raised.value)
    assert "\n" not in said and len(said) < 500
    return said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": []}, "values must be a table"),
        ({"values": {"bm25": {"AP": {"q1": "x"}}}}, "values.bm25.AP.'q1' must be a number"),
        ({"values": {"bm25": {"AP": {"q1": None}}}}, "values.bm25.AP.'q1' must be a number"),
        ({"dataset": ["tiny"]}, "dataset must be a text; got ['tiny']"),
        ({"seconds": {"search": "x"}}, "seconds.search must be a number"),
        ({"counts": 5}, "counts must be a table"),
        ({"fingerprint": {"bm25": 5}}, "fingerprint.bm25 must be a table"),
        ({"latencies_ms": 5}, "latencies_ms must be a list"),
        ({"documents": "many"}, "documents must be a whole number"),
        ({"build": 5}, "build must be a table; got 5"),
        ({"build": {"counts": []}}, "build.counts must be a table"),
        ({"channels": "bm25"}, "channels must be a list"),
    ],
)
def test_a_record_of_wrong_types_names_file_and_key(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = RECORD.write(tmp_path)
    assert Record.read(path) == RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    told = fault(lambda: Record.read(path))
    assert told.startswith(f"{path}: ") and said in told


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP, "nested more than"),
        ("", "it is empty"),
        ("[1]", "expected"),
        ('{"a": 1, "a": 2}', "comes twice"),
        ('{"settings": 5}', "settings must be a table"),
        ('{"settings": {"datasets": "x"}}', "settings.datasets must be a list"),
        ('{"settings": {"datasets": [1]}}', "settings.datasets (item 1) must be a text"),
        ('{"versions": []}', "versions must be a table"),
    ],
)
def test_a_configuration_names_its_fault(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    told = fault(lambda: read_config(tmp_path))
    assert told.startswith(f"{path}: ") and said in told


def test_a_ledger_and_a_log_name_their_faults(tmp_path: Path) -> None:
    path = tmp_path / "spent.json"
    for text in (DEEP, "{}", "[1]", '[{"what": 5}]', '[{"wht": "a"}]'):
        path.write_text(text)
        assert fault(lambda: Ledger.read(path)).startswith(f"{path}: ")
    log = LogFile(tmp_path / "log.jsonl")
    for text in (DEEP, "[]", '{"step": "x"}', "{}"):
        log.path.write_text(f'{{"step": 1, "loss": NaN}}\n{text}\n')
        assert fault(lambda: log.cut(3)).startswith(f"{log.path}:2: ")


def test_a_journal_names_the_record_that_was_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    heading = {"seed": 0, "share": 0.1}
    with Journal(path, heading) as journal:
        journal.note("split", lambda: {"queries": [1, 2]})
    with Journal(path, heading) as journal:
        journal.note("split", lambda: {"queries": [1, 2]})
        assert journal.replayed == 2
    first, second = path.read_text().splitlines()
    faults = {
        second.replace("[1, 2]", "[1, 3]"): "it was changed after it was written",
        DEEP: "nested more than",
        "[]": "of what kind",
        '{"kind": 5}': "of what kind",
        second[:-3]: "not JSON",
    }
    for line, said in faults.items():
        path.write_text(f"{first}\n{line}\n")
        told = fault(lambda: Journal(path, heading))
        assert told.startswith(f"{path}:2 is no record of a journal") and said in told
    path.write_text('{"kind": "run", "value": 5}\n')
    assert "does not say what was run" in fault(lambda: Journal(path, heading))
    path.write_text('{"kind": "run", "value": {"seed": 0, "share": 0.1}}\n')  # of older versions
    Journal(path, heading).__exit__(None, None, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP, "the recipe of channel 'dense': nested more than"),
        ("{}", "does not say how channel 'dense' reads texts"),
        ("[]", "does not say how channel 'dense' reads texts"),
        ('{"kind": ["llm"]}', "does not say how channel 'dense' reads texts"),
        ('{"kind": "llm", "model": 5, "prompt": "", "reads": []}', "model must be a text; got 5"),
        ('{"kind": "llm", "model": "a", "reads": []}', "prompt is missing"),
        ('{"kind": "llm", "model": "a", "prompt": "x", "reads": []}', "its prompt: not TOML"),
        (
            '{"kind": "llm", "model": "a", "prompt": "x=1", "reads": []}',
            "its prompt: unknown key x; known are name",
        ),
        ('{"kind": "llm", "model": "a", "prompt": "", "reads": "dense"}', "reads must be a list"),
        ('{"kind": "bm25", "languages": "a"}', "unknown key languages; did you mean language?"),
    ],
)
def test_a_recipe_of_another_program_is_refused(text: str, said: str) -> None:
    assert said in fault(lambda: from_json(text, "dense"))
    recipe = LLMSpec("gpt2", load_prompt("promptreps"), ("dense",))
    assert from_json(to_json(recipe), "dense") == recipe
