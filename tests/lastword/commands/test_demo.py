"""The demo and its documents: real text that is on every machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from embedder.checkpoints.named_models import SMOLLM2, PackagedModel
from index import manifest_file
from index.documents import Document
from lastword.commands.collection import stdlib_docs
from lastword.commands.collection.demo import QUESTIONS, demo_place
from lastword.commands.collection.stdlib_docs import SHORTEST, stdlib_documents
from lastword.main import main

FIRST = dict(
    zip(
        QUESTIONS,
        ("webbrowser.open", "shutil.unpack_archive", "functools.lru_cache", "math.gcd"),
        strict=True,
    )
)
"""What a reader expects of each question; test_readme asks the whole library."""


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return stdlib_documents()


def test_there_are_several_thousand_in_order_of_their_ids(
    documents: list[Document],
) -> None:
    ids = [document.id for document in documents]
    assert len(ids) > 4000
    assert ids == sorted(set(ids))
    assert all(len(document.text) >= SHORTEST for document in documents)
    assert len({document.text for document in documents}) == len(documents)


def test_collecting_again_gives_the_same(documents: list[Document]) -> None:
    assert stdlib_documents() == documents


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dict.fromkeys", "keys from iterable"),  # written in C, a builtin
        ("threading.Timer", "after a specified number of seconds"),  # a class in Python
        ("itertools.groupby", "iterable"),  # a module in C
        ("collections.deque", "list-like"),  # C code that a private module holds
        ("os.listdir", "list"),  # known to the interpreter as posix.listdir
        ("os.path.join", "path"),  # known to the interpreter as posixpath.join
        ("pathlib.Path.exists", "path exists"),  # in 3.13 from a private module
        ("shutil.rmtree", "delete"),
    ],
)
def test_names_are_those_that_people_know(documents: list[Document], name: str, says: str) -> None:
    text = {document.id: document.text for document in documents}[name]
    assert says in text


def test_titles_are_words(documents: list[Document]) -> None:
    titles = {document.id: document.title for document in documents}
    assert titles["collections.OrderedDict.move_to_end"] == "collections OrderedDict move to end"


def test_collecting_runs_no_module_of_the_library() -> None:
    """`this` prints a poem, `antigravity` opens a browser, `idlelib` a window."""
    code = (
        "import sys\n"
        "from lastword.commands.collection.stdlib_docs import stdlib_documents\n"
        "stdlib_documents()\n"
        "assert not {'this', 'antigravity', 'turtle', 'pdb'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""


def test_an_index_of_another_format_is_not_the_demos(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade the demo found the index of the version before, and could not read it."""
    before = demo_place({})
    monkeypatch.setattr(manifest_file, "FORMAT", manifest_file.FORMAT + 1)
    assert demo_place({}) != before


def test_the_demo_answers_and_uses_its_index_again(
    documents: list[Document],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    modules = ("webbrowser.", "shutil.", "functools.", "math.")
    some = [one for one in documents if one.id.startswith(modules)]
    monkeypatch.setattr(stdlib_docs, "stdlib_documents", lambda: some)
    command = ["demo", "--out", str(tmp_path / "demo.index"), "--json"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["model"] == "bundled"
    assert first["documents"] == len(some)
    assert first["documents_per_second"] > 0
    assert [one["question"] for one in first["questions"]] == list(QUESTIONS)
    for one in first["questions"]:
        assert list(one["ranked"]) == ["fused", "dense", "sparse", "bm25"]
        assert one["question_words"] and one["document_words"]
        assert {word for word, _ in one["question_words"]} <= set(one["question"].split())
        module, _, _ = FIRST[one["question"]].partition(".")  # among so few, words weigh otherwise
        assert one["ranked"]["fused"][0][0].startswith(f"{module}.")
    assert main(command) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["reused"] is True
    assert [one["ranked"] for one in again["questions"]] == [
        one["ranked"] for one in first["questions"]
    ]
    monkeypatch.setattr(stdlib_docs, "stdlib_documents", lambda: some[1:])
    assert main(command) == 0  # other documents: the index was used again without a look at them
    changed = json.loads(capsys.readouterr().out)
    assert (changed["reused"], changed["documents"]) == (False, len(some) - 1)


def test_the_demo_says_which_model_it_used_and_how_to_use_a_larger_one(
    documents: list[Document],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    some = [one for one in documents if one.id.startswith("threading.")]
    monkeypatch.setattr(stdlib_docs, "stdlib_documents", lambda: some)
    question = "run a function later in another thread"
    assert main(["demo", "--out", str(tmp_path / "demo.index"), "--ask", question]) == 0
    shown = capsys.readouterr()
    assert question in shown.out
    assert "threading." in shown.out
    assert "bundled model" in shown.err
    assert shown.err.endswith("\n  lastword demo --model smollm2\n")
    assert (f"  {SMOLLM2.command}\n" in shown.err) == (SMOLLM2.find_file() is None)
    monkeypatch.setattr(PackagedModel, "find_file", lambda model: None)
    assert main(["demo", "--out", str(tmp_path / "demo.index"), "--ask", question]) == 0
    said = capsys.readouterr().err
    assert said.endswith(f"  {SMOLLM2.command}\n  lastword demo --model smollm2\n")
    assert max(map(len, said.split("This was the bundled")[1].splitlines())) < 100
