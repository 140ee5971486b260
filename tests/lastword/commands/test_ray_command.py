"""`lastword index --ray`: what is said in one line before anything is loaded."""

import socket
import sys
from pathlib import Path
from threading import Thread

import pytest

from lastword.main import main
from tests.lastword.commands.test_index_command import failure, write_documents


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_documents(tmp_path / "corpus.jsonl", ["a", "b"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--ray", "somewhere"], "is local, auto or HOST:PORT, such as 10.0.0.5:6379; got 'some"),
        (["--ray", "host:99999"], "got 'host:99999'"),
        (["--ray", "127.0.0.1:1"], "no Ray cluster answers at 127.0.0.1:1 (Connection refused)"),
        (["--workers", "2"], "--workers and --gpus-per-worker go with --ray"),
        (["--ray", "local", "--gpus-per-worker", "1.5"], "above 1, gpus_per_worker is a whole"),
    ],
)
def test_a_wrong_option_is_told_before_a_model_is_loaded(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    line = failure(capsys, corpus, tmp_path / "i", *options, "--model", "no/such/model")
    assert says in line
    assert not (tmp_path / "i").exists()


def test_what_listens_and_is_no_cluster_is_told(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ray asked a web server for two and a half minutes, and ended the process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            talk, _ = server.accept()
            with talk:
                talk.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = Thread(target=answer)
        thread.start()
        line = failure(capsys, corpus, tmp_path / "i", "--ray", f"127.0.0.1:{port}")
        thread.join()
    assert "(what listens there is something else)" in line


def test_without_ray_the_command_that_installs_it_is_told(
    corpus: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder called ray, beside a script, is no package either."""
    (tmp_path / "ray").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    line = failure(capsys, corpus, tmp_path / "i", "--ray", "local")
    assert 'needs Ray: pip install "lastword[ray]"' in line


def test_words_alone_are_counted_here(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--ray", "local", "--channels", "bm25"]
    assert "words are counted here" in failure(capsys, corpus, tmp_path / "i", *options)


def test_help_shows_how_a_cluster_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--ray" in said and "--gpus-per-worker" in said and "10.0.0.5:6379" in said
