"""`import lastword` and the command work beside a user's own index.py, eval.py and the like."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lastword.shadowing import PACKAGES, load_own_packages
from tests.folders import ROOT
from tests.models import CHAT, save_tokenizer

USE = """
import lastword
from embedder.encoders.bm25 import BM25Encoder
from index.documents import Document
from retrieval.build import build_index

documents = [Document("keys", "", "rotate a key"), Document("locks", "", "oil a lock")]
build_index(documents, {"bm25": BM25Encoder()}, "my.index")
print("built")
"""
CHATTING = """
import lastword
from embedder.inputs.chat_template import render_chat
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("tokenizer")
tokenizer.chat_template = {template!r}
print(render_chat(tokenizer, [{{"role": "user", "content": "a text"}}], add_generation_prompt=True))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of every name of ours; each would end the program that imports it."""
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__file__} was imported')\n")
    return tmp_path


def run(folder: Path, *arguments: str, ours: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with lastword installed elsewhere."""
    environment = {**os.environ, "PYTHONPATH": str(ours)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def output(folder: Path, *arguments: str, ours: Path = ROOT) -> str:
    done = run(folder, *arguments, ours=ours)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_script_and_the_command_run_beside_files_of_our_names(folder: Path) -> None:
    (folder / "script.py").write_text(USE)
    assert output(folder, "script.py").endswith("built\n")
    (folder / "documents.jsonl").write_text('{"_id": "keys", "text": "rotate a key"}\n')
    indexed = ("documents.jsonl", "-o", "other.index", "--channels", "bm25", "-q")
    output(folder, "-m", "lastword", "index", *indexed)
    assert "keys" in output(folder, "-m", "lastword", "search", "other.index", "a key")
    command = str(Path(sys.executable).parent / "lastword")
    assert "Usage" in output(folder, command, "--help")


def test_a_script_may_have_one_of_our_names_itself(folder: Path) -> None:
    (folder / "index.py").write_text(USE)
    assert output(folder, "index.py").endswith("built\n")


def test_a_chat_template_is_rendered_beside_files_of_our_names(folder: Path) -> None:
    """Its process looked for `embedder` beside the script, and ended there."""
    save_tokenizer(folder / "tokenizer")
    (folder / "script.py").write_text(CHATTING.format(template=CHAT))
    assert "a text" in output(folder, "script.py")


def test_pytest_runs_tests_beside_files_of_our_names(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        "import lastword\nfrom index.folder import Index\n\ndef test_it():\n    assert Index\n"
    )
    assert "1 passed" in output(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_packages_are_those_beside_lastword_however_it_is_installed(folder: Path) -> None:
    """As of a wheel: a folder of its own, here a copy, before another checkout on the path."""
    ours = folder / "site"
    for name in (*PACKAGES, "lastword"):
        shutil.copytree(ROOT / name, ours / name, ignore=shutil.ignore_patterns("*.safetensors"))
    code = f"import sys; sys.path.append({str(ROOT)!r}); import lastword, index, eval.data"
    printed = output(folder, "-c", f"{code}; print(index.__file__, eval.data.__file__)", ours=ours)
    assert printed.split() == [str(ours / name / "__init__.py") for name in ("index", "eval/data")]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_file_that_was_imported_first_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    (tmp_path / "script.py").write_text(f"import {name}\nimport lastword\n")
    done = run(tmp_path, "script.py")
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: expected {name!r} to be lastword's package, got {tmp_path / name}.py: "
        "rename that file, or import lastword before it"
    )


def test_a_folder_that_was_imported_first_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = ModuleType("eval")  # as of a folder without __init__.py: no file
    theirs.__path__ = ["/home/user/eval"]
    monkeypatch.setitem(sys.modules, "eval", theirs)
    with pytest.raises(ImportError, match="got /home/user/eval: rename that file"):
        load_own_packages()


def test_a_name_of_the_hidden_file_is_missed_in_words(tmp_path: Path) -> None:
    """A script gets our `index` where it wanted its own; it must not guess why."""
    (tmp_path / "index.py").write_text("def mine(): pass\n")
    (tmp_path / "script.py").write_text(
        "import lastword\nfrom index import folder\nimport index\nindex.mine()\n"
    )
    done = run(tmp_path, "script.py")
    assert done.stderr.splitlines()[-1] == (
        f"AttributeError: lastword's package 'index' has no 'mine', and it hides "
        f"{tmp_path / 'index.py'}: rename that file"
    )
    (tmp_path / "index.py").unlink()
    assert "has no attribute 'mine'" in run(tmp_path, "script.py").stderr.splitlines()[-1]
