"""The commands about prompts; a wrong rule is one line that names it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from embedder.prompts.files import load_prompt, prompt_library
from lastword.main import main
from tests.models import save_llama

BOTH = "name = 'mine'\n[both]\ntemplate = '{text} is'\n"
BARE = "[sparse]\nenabled = false\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llama(tmp_path_factory.mktemp("model"))


def ran(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("columns", [80, 120])
def test_the_list_is_grouped_and_fits_with_names_whole(
    capsys: pytest.CaptureFixture[str], terminal: Callable[[int], None], columns: int
) -> None:
    """Names of more than 24 characters were broken over two lines."""
    terminal(columns)
    code, out, _ = ran(capsys, "prompts", "list")
    assert code == 0 and out.index("Retrieval:") < out.index("promptreps")
    assert out.index("Similarity:") < out.index("metaeol")
    assert max(map(len, out.splitlines())) <= columns
    assert set(prompt_library()) <= set(out.split())


def test_the_list_as_json_tells_cost_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ran(capsys, "prompts", "list", "--use", "similarity", "--json")
    prompts = {prompt["name"]: prompt for prompt in json.loads(out)}
    assert code == 0 and prompts["metaeol"]["passes"] == 8
    assert {prompt["use"] for prompt in prompts.values()} == {"similarity"}
    assert all(prompt["source"] and prompt["relative_tokens"] > 0 for prompt in prompts.values())


def test_show_marks_what_is_fed(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    words = ("prompts", "show", "prompteol-tp", "the capital", "--model", model)
    code, out, _ = ran(capsys, *words)
    flat = " ".join(out.split())
    assert code == 0 and "<PST>" in flat and "\u27e6" in flat and "\u25b6" in flat
    assert "[prepend] Before block 2 of 3" in flat


def test_a_copy_keeps_the_comments(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "mine.toml"
    code, _, _ = ran(capsys, "prompts", "new", "mine", "--like", "prompteol-cp", "--out", out)
    assert code == 0 and "# Published: block 4" in out.read_text()
    assert load_prompt(out).hash == load_prompt("prompteol-cp").hash


WRONG = {
    "[read]\nlayer = 9\n" + BARE: "layer 9 does not exist: the model has 3 blocks",
    "[contrast]\ntemplate = 'not {text}'\nblock = 7\n" + BARE: "contrast.block 7 does not exist",
    "[read]\nattention = 'bidirectional'\n" + BARE: "a causal prompt is read where the next word",
    "[prepend]\nstart = 1\nexit = 2\n" + BARE: "token prepending needs a {placeholder}",
    "[read]\nspan = 'copy'\npool = 'mean'\n" + BARE: "read.span = copy needs a second {text}",
}


@pytest.mark.parametrize(("rules", "said"), WRONG.items())
def test_a_wrong_rule_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path, rules: str, said: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOTH + rules)
    code, out, err = ran(capsys, "prompts", "show", path, "some text", "--model", model)
    assert code == 2 and not out and said in " ".join(err.split())
    assert len(err.strip().splitlines()) == 1


def test_a_start_above_the_model_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    path = tmp_path / "mine.toml"
    rule = "[prepend]\nstart = 3\nexit = 9\n"
    path.write_text(BOTH.replace("{text}", "{placeholder}{text}") + BARE + rule)
    code, _, err = ran(capsys, "prompts", "show", path, "some text", "--model", model)
    assert code == 2 and "prepend.start 3 does not exist: the model has 3 blocks" in err


def test_a_demonstration_that_does_not_fit_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOTH.replace("{text}", "lava is rock. " * 300 + "{text}") + BARE)
    code, _, err = ran(capsys, "prompts", "show", path, "some text", "--model", model)
    assert code == 2 and "takes all of the model's context of 512 tokens" in err
