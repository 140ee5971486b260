"""Bad input: one clear line on stderr, exit code 2, and nothing of an index is lost."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from index.folder import Index
from lastword.main import main
from tests.models import save_llama

GOOD = [
    {"_id": "a", "title": "Tea", "text": "Green tea is steeped, not boiled."},
    {"_id": "b", "title": "Keys", "text": "Rotate a signing key once a year."},
    {"_id": "c", "title": "Lava", "text": "Lava cools into black rock."},
]

Fails = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Fails:
    """Run a command that must fail, and return its one line."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("lastword: ") and said.err.count("\n") == 1, said.err
        return said.err

    return run


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "corpus.jsonl", *map(json.dumps, GOOD))


@pytest.fixture
def held(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A sound index of three documents, words only."""
    path = tmp_path / "held.index"
    assert main(["index", str(corpus), "-o", str(path), "--channels", "bm25"]) == 0
    capsys.readouterr()
    return path


def write_lines(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def assert_untouched(path: Path) -> None:
    with Index.open(path) as index:
        assert [document.id for document in index.stream()] == ["a", "b", "c"]
        assert index.check() == []
    assert main(["search", str(path), "rotate a key", "--quiet"]) == 0


BAD_LINES = [
    pytest.param('{"_id": "d", "text": "half a', "corpus line 2", id="broken JSON"),
    pytest.param('["d", "text"]', "JSON object", id="no object"),
    pytest.param('{"text": "no id"}', "_id", id="missing id"),
    pytest.param('{"_id": "", "text": "empty id"}', "_id", id="empty id"),
    pytest.param('{"_id": "d"}', "text", id="missing text"),
    pytest.param('{"_id": "first", "text": "again"}', "twice", id="duplicate id"),
]


@pytest.mark.parametrize(("line", "says"), BAD_LINES)
def test_a_bad_line_is_named_by_file_and_number(
    line: str, says: str, held: Path, tmp_path: Path, fails: Fails
) -> None:
    bad = write_lines(tmp_path / "bad.jsonl", '{"_id": "first", "text": "sound"}', line)
    said = fails("add", held, bad)
    assert f"{bad}:2" in said
    assert says in said or says == "corpus line 2"
    said = fails("index", bad, "-o", tmp_path / "new.index", "--channels", "bm25")
    assert f"{bad}:2" in said
    assert not (tmp_path / "new.index").exists()
    assert_untouched(held)


def test_an_empty_text_is_refused_unless_asked_for(
    held: Path, tmp_path: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = write_lines(tmp_path / "bad.jsonl", '{"_id": "void", "text": "  "}')
    said = fails("add", held, bad)
    assert "void" in said and "skip" in said
    assert_untouched(held)
    more = write_lines(
        tmp_path / "more.jsonl", '{"_id": "void", "text": ""}', '{"_id": "d", "text": "Salt."}'
    )
    assert main(["add", str(held), str(more), "--on-empty", "skip", "--restart"]) == 0
    assert "1 document without text" in capsys.readouterr().err
    with Index.open(held) as index:
        assert index.documents == 4


def test_an_id_that_the_index_holds_is_not_added_again(
    held: Path, tmp_path: Path, fails: Fails
) -> None:
    again = write_lines(tmp_path / "again.jsonl", '{"_id": "b", "text": "Another b."}')
    assert "'b'" in fails("add", held, again)
    assert_untouched(held)


def test_a_judged_folder_that_is_no_utf8_is_named(tmp_path: Path, fails: Fails) -> None:
    """Files of people are decoded by a guess that is told; data that is measured on is not."""
    bad = tmp_path / "corpus.jsonl"
    bad.write_bytes(b'{"_id": "d", "text": "caf\xe9"}\n')
    assert f"{bad}:1" in fails("index", tmp_path, "-o", tmp_path / "new.index")


def test_a_source_that_is_nowhere(tmp_path: Path, fails: Fails) -> None:
    said = fails("index", tmp_path / "nowhere", "-o", tmp_path / "new.index")
    assert "nowhere" in said


def test_an_index_is_never_written_over(held: Path, corpus: Path, fails: Fails) -> None:
    assert str(held) in fails("index", corpus, "-o", held, "--channels", "bm25")
    assert_untouched(held)


def test_a_wrong_model_folder(corpus: Path, tmp_path: Path, fails: Fails) -> None:
    said = fails("index", corpus, "-o", tmp_path / "new.index", "--model", corpus.parent)
    assert str(corpus.parent) in said and "config.json" in said
    said = fails("index", corpus, "-o", tmp_path / "new.index", "--embedder", f"sbert:{tmp_path}")
    assert str(tmp_path) in said
    assert not (tmp_path / "new.index").exists()


def test_options_that_contradict_each_other(corpus: Path, tmp_path: Path, fails: Fails) -> None:
    out = tmp_path / "new.index"
    assert "sbert:NAME" in fails("index", corpus, "-o", out, "--embedder", "minilm")
    both = ("--embedder", "sbert:x", "--model", "y")
    assert "leave out" in fails("index", corpus, "-o", out, *both)
    assert "dense,sparse,bm25" in fails("index", corpus, "-o", out, "--channels", "dens")
    assert "promptreps" in fails("index", corpus, "-o", out, "--prompt", "promptrep")
    assert "english" in fails(
        "index", corpus, "-o", out, "--channels", "bm25", "--language", "englsh"
    )
    assert not out.exists()


def test_a_search_with_another_model_says_what_differs(
    llama: Path, corpus: Path, tmp_path: Path, fails: Fails
) -> None:
    held = tmp_path / "llama.index"
    assert main(["index", str(corpus), "-o", str(held), "--model", str(llama), "-q"]) == 0
    other = save_llama(tmp_path / "other", seed=1)
    said = fails("search", held, "rotate a key", "--model", other)
    assert "weights" in said and "dense" in said
    more = write_lines(tmp_path / "more.jsonl", '{"_id": "d", "text": "Salt."}')
    assert "weights" in fails("add", held, more, "--model", other)
    assert_untouched(held)


def test_nan_from_a_model_reaches_no_index(corpus: Path, tmp_path: Path, fails: Fails) -> None:
    spoilt = save_llama(tmp_path / "spoilt", nan=True)
    for channels in ("dense,bm25", "sparse"):
        out = tmp_path / f"{channels}.index"
        said = fails("index", corpus, "-o", out, "--model", spoilt, "--channels", channels)
        assert "NaN" in said
    assert main(["search", str(out), "tea"]) == 2


@pytest.mark.parametrize("size", [0, 10])
def test_a_truncated_file_is_found(
    size: int, held: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    largest = max((held / "segments").rglob("*.npy"), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    largest.write_bytes(whole[:size])
    assert largest.name in fails("search", held, "rotate a key")
    assert main(["check", str(held)]) == 2
    said = capsys.readouterr()
    assert largest.name in said.err and len(said.err.splitlines()) == 1
    largest.write_bytes(whole)  # put back from a copy, as the message says
    assert_untouched(held)


def test_a_changed_byte_is_found_by_check(held: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = next((held / "segments").rglob("codes.npy"))
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    assert main(["check", str(held), "--json"]) == 2
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["sound"] is False and "codes.npy" in report["problems"][0]
    assert said.err.startswith("lastword: ") and len(said.err.splitlines()) == 1


def test_a_folder_that_is_no_index(tmp_path: Path, fails: Fails) -> None:
    for command in (["search", tmp_path, "x"], ["info", tmp_path], ["merge", tmp_path]):
        assert str(tmp_path) in fails(*command)
    assert "nowhere" in fails("info", tmp_path / "nowhere")
    assert main(["check", str(tmp_path / "nowhere")]) == 2


def test_a_folder_that_cannot_be_written(corpus: Path, held: Path, fails: Fails) -> None:
    below_a_file = corpus / "new.index"  # refused to root too, unlike a folder without rights
    assert str(corpus) in fails("index", corpus, "-o", below_a_file, "--channels", "bm25")
    queries = write_lines(corpus.parent / "queries.tsv", "q1\trotate a key")
    run = corpus / "out.trec"
    assert str(corpus) in fails("search", held, "--queries", queries, "--run", run)
    assert_untouched(held)


def test_an_unknown_dataset(fails: Fails) -> None:
    assert "scifact" in fails("eval", "retrieval", "scifat")


def test_a_folder_without_judgements_is_not_judged(corpus: Path, fails: Fails) -> None:
    assert "qrels" in fails("eval", "retrieval", corpus, "--channels", "bm25")


def test_an_empty_query(held: Path, tmp_path: Path, fails: Fails) -> None:
    for query in ("", "  \n"):
        assert "empty" in fails("search", held, query)
        assert "empty" in fails("explain", held, query, "a")
    queries = write_lines(tmp_path / "queries.tsv", "q1\tlava", "q2\t ")
    assert "'q2'" in fails("search", held, "--queries", queries, "--run", tmp_path / "out.trec")
    assert not (tmp_path / "out.trec").exists()


def test_a_query_of_bytes_that_are_no_text(held: Path, fails: Fails) -> None:
    assert "Unicode" in fails("search", held, "caf\udce9")
    assert_untouched(held)


def test_a_broken_queries_file(held: Path, tmp_path: Path, fails: Fails) -> None:
    run = tmp_path / "out.trec"
    for number, line in ((1, "no tab"), (2, "q1\tlava\nq1\tagain")):
        queries = write_lines(tmp_path / "queries.tsv", line)
        assert f"{queries}:{number}" in fails("search", held, "--queries", queries, "--run", run)
    assert "either" in fails("search", held, "--queries", queries)
    assert "either" in fails("search", held, "--run", run)


def test_an_unknown_document(held: Path, fails: Fails) -> None:
    assert "'z'" in fails("explain", held, "lava", "z")
    assert "'z'" in fails("delete", held, "a", "z")
    assert_untouched(held)


def test_unknown_channels_and_fusions(held: Path, fails: Fails) -> None:
    assert "bm25" in fails("search", held, "lava", "--channels", "dense")
    assert "rrf" in fails("search", held, "lava", "--fusion", "borda")


def test_a_prompt_file_is_not_written_over(
    tmp_path: Path, fails: Fails, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.toml"
    assert main(["prompts", "new", "mine", "--out", str(out)]) == 0
    before = out.read_text(encoding="utf-8")
    assert str(out) in fails("prompts", "new", "mine", "--out", out)
    assert out.read_text(encoding="utf-8") == before
    out.write_text("name = 3\n", encoding="utf-8")
    assert str(out) in fails("prompts", "show", out)


@pytest.mark.parametrize(
    "arguments", [["serach"], ["search"], ["search", "x", "y", "--depht", "3"], ["index", "a"]]
)
def test_a_mistyped_command_names_its_help(arguments: list[str], fails: Fails) -> None:
    assert "--help" in fails(*arguments)


def test_the_program_itself_keeps_to_one_line_and_code_2(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lastword", "info", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("lastword: ") and done.stderr.count("\n") == 1
