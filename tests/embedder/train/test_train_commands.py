"""train contrast and train pretrain as people call them; configuration files and their errors."""

import json
from pathlib import Path

import pytest

from embedder.files.config_file import read_config
from embedder.train.contrast.finetune_settings import FineTuneSettings, Lora
from embedder.train.pretrain.settings import Settings
from lastword.main import main
from tests.embedder.train.test_pair_files import write_pairs
from tests.embedder.train.test_train import corpus_folder  # noqa: F401  (a fixture)
from tests.folders import ROOT
from tests.models import load_llm

CONFIGS = ROOT / "embedder" / "train" / "configs"
TINY = """
tokenizer_every = 1
[shape]
vocabulary = 400
width = 64
intermediate = 16
heads = 2
[bag]
steps = 3
batch = 4
[decoder]
steps = 2
batch = 4
"""


@pytest.fixture
def config(tmp_path: Path, llama: Path) -> Path:
    """A file of settings beside its pairs."""
    write_pairs(tmp_path / "pairs.jsonl")
    path = tmp_path / "contrast.toml"
    path.write_text(
        f"model = {json.dumps(str(llama))}\npairs = ['pairs.jsonl']\nprompts = ['promptreps']\n"
        "batch = 4\ngroup_size = 2\nhybrid = true\n[lora]\nr = 2\n"
    )
    return path


def failure(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must fail, and return its only line."""
    assert main(arguments) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("lastword: ") and "\n" not in said
    return said


def test_contrast_makes_a_model_that_is_indexed(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    given = ["train", "contrast", "-c", str(config), "--out", str(out), "--json"]
    assert main([*given, "--minutes", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["steps"], told["of"], told["pairs"]) == (1, 6, 24)
    assert main(given) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["steps"] == 6 and told["pairs_per_second"] > 0
    log = Path(told["log"]).read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [6]
    assert main(given) == 0  # nothing is left to do
    assert "loss" not in json.loads(capsys.readouterr().out)
    assert load_llm(out).prompt.name == "promptreps"
    docs = tmp_path / "docs.jsonl"
    docs.write_text('{"id": "a", "text": "Whales sing."}\n{"id": "b", "text": "Rock is old."}\n')
    index = str(tmp_path / "index")
    assert main(["index", str(docs), "--out", index, "--model", str(out), "-q"]) == 0
    assert main(["search", index, "whales", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_contrast_shows_a_table(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "model"
    assert main(["train", "contrast", "-c", str(config), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "weights that learn" in said.out and "pairs per second" in said.out
    assert "contrast: step 6 of 6, loss" in said.err and f"--model {out}" in said.err


def test_errors_are_one_line(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["train", "contrast", "--out", str(tmp_path / "out")]
    assert "Give --config FILE" in failure(base, capsys)
    assert "Give --out FOLDER" in failure(["train", "contrast", "-c", str(config)], capsys)
    text = config.read_text()
    for before, after, said in [
        ("batch = 4", "bach = 4", "unknown key bach; did you mean batch?"),
        ("r = 2", "rank = 2", "unknown key lora.rank; known are r, alpha"),
        ("batch = 4", "batch = '4'", "batch must be a whole number; got '4'"),
        ("batch = 4", "batch = 400", "24 pairs are fewer than a batch of 400"),
        ("batch = 4", "batch = ", "contrast.toml: "),
        ("pairs.jsonl", "missing.jsonl", "missing.jsonl"),
        ("'promptreps'", "'promptrep'", "nearest: promptreps"),
    ]:
        config.write_text(text.replace(before, after))
        assert said in failure([*base, "-c", str(config)], capsys)
    config.write_text(text)
    assert "device must be" in failure([*base, "-c", str(config), "--device", "oven"], capsys)
    assert not (tmp_path / "out").exists()


def test_pretrain_makes_a_model_and_says_how_it_gets_on(
    corpus_folder: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, out = tmp_path / "tiny.toml", tmp_path / "out"
    config.write_text(TINY)
    given = ["train", "pretrain", "--corpus", str(corpus_folder), "-c", str(config)]
    assert main([*given, "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "bag: step 3 of 3, loss" in said.err and "pairs/s" in said.err
    assert "decoder: step 2 of 2" in said.err and "finished" in said.out
    assert (tmp_path / "out.work" / "bag.jsonl").exists()
    assert load_llm(out).width == 64


def test_pretrain_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["train", "pretrain", "--out", str(tmp_path / "out")]
    assert "Give --corpus FOLDER" in failure(given, capsys)
    assert "passages.jsonl.xz" in failure([*given, "--corpus", str(tmp_path)], capsys)


def test_shipped_settings_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert read_config(CONFIGS / "tiny.toml", Settings) == Settings()
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    assert read_config(CONFIGS / "contrast.toml", FineTuneSettings) == FineTuneSettings(
        model="Qwen/Qwen3-0.6B",
        pairs=("pairs.jsonl",),
        prompts=("promptreps",),
        batch=32,
        hybrid=True,
        margin=0.1,
        lora=Lora(targets=names),
    )
    assert main(["train", "contrast", "--example"]) == 0
    assert capsys.readouterr().out == (CONFIGS / "contrast.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checkpoint_every = 0", "checkpoint_every must be 1 or more"),
        ("tokenizer_every = 0", "tokenizer_every must be 1 or more"),
        ("seed = -1", "seed must be 0 or more"),
        ("bag.rate = -1.0", r"\[bag\] rates and weights of a stage are at least 0"),
        ("shape.layers = 0", r"\[shape\] sizes must be positive"),
        ("decoder.rate = nan", "decoder.rate must be a finite number"),
    ],
)
def test_settings_of_the_bundled_model_have_ranges(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_config(path, Settings)
