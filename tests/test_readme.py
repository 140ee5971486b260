"""README's examples are what its commands print."""

import json
from pathlib import Path

import pytest

from benchmarks import readme
from lastword.commands.collection.demo import QUESTIONS
from lastword.main import main
from tests.lastword.commands.test_demo import FIRST

TEXT = readme.README.read_text(encoding="utf-8")


def test_examples_are_found_with_their_output() -> None:
    found = dict(readme.examples(TEXT))
    assert [command.split()[1] for command in found] == ["search", "explain"]
    assert all(readme.DEMO in command and shown for command, shown in found.items())
    assert any(question in command for command in found for question in QUESTIONS)


def test_a_block_is_rewritten_with_what_is_printed(tmp_path: Path) -> None:
    lines = [json.dumps({"_id": f"d{at}", "text": f"key number {at}"}) for at in range(3)]
    (tmp_path / "some.jsonl").write_text("\n".join(lines) + "\n")
    index = tmp_path / "my index"
    made = ["index", str(tmp_path / "some.jsonl"), "-o", str(index), "--channels", "bm25"]
    assert main([*made, "--quiet"]) == 0
    command = f'lastword search {readme.DEMO} "number 2" -k 1'
    text = (
        f"By Python 3.0.1 (9 documents).\n```\n$ {command}\n\nold\n```\n\n```\nlastword eval\n```\n"
    )
    now = readme.rewritten(text, index)
    assert now.startswith(f"By {readme.this_source(index)}.\n```\n$ {command}\n\n")
    assert now.endswith("\n```\n\n```\nlastword eval\n```\n") and "old" not in now
    ((_, shown),) = readme.examples(now)
    assert " d2 " in shown and all(len(line) <= readme.WIDTH for line in shown.split("\n"))
    with pytest.raises(ValueError, match="exit code 2"):
        readme.printed("lastword search nowhere x", index)


@pytest.fixture
def index() -> Path:
    """Return the demo's index, where `make demo` has left one: building it takes a minute."""
    found = readme.demo_index_in_cache()
    if found is None:
        pytest.skip("the demo has not been run here: make demo")
    return found


@pytest.mark.slow
def test_readme_holds_what_its_commands_print(index: Path) -> None:
    """Where it does not, `python -m benchmarks.readme` mends it."""
    if readme.source_of(TEXT) != readme.this_source(index):  # another build, fewer modules
        pytest.skip(f"README's examples are of {readme.source_of(TEXT)}")
    assert readme.rewritten(TEXT, index) == TEXT


@pytest.mark.slow
def test_the_demos_first_answers_answer(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for question, answer in FIRST.items():
        assert main(["search", str(index), question, "-k", "1", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["hits"][0]["id"] == answer
