"""The command in a process of its own: what others write shows, and a signal ends it in order."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import lastword as lw
from index.writer import IndexWriter
from tests.folders import ROOT

SERVE = (sys.executable, "-m", "lastword", "serve")


class Served:
    """A running server and its index."""

    def __init__(self, process: "subprocess.Popen[bytes]", path: Path, log: Path) -> None:
        self.process, self.path, self.log = process, path, log
        self.wait(lambda: " serves " in log.read_text(), 200)
        address = log.read_text().partition(" serves ")[0].split()[-1]
        self.client = httpx.Client(base_url=address, timeout=30)

    def wait(self, ready: Callable[[], Any], seconds: float = 60) -> Any:  # noqa: ANN401
        """Return what `ready` gives once it is something."""
        until = time.monotonic() + seconds
        while not (value := ready()):
            assert time.monotonic() < until and self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return value

    def found(self, query: str) -> list[str]:
        """Return the ids of the hits."""
        answer = self.client.post("/v1/search", json={"query": query})
        assert answer.status_code == 200, answer.text
        return [hit["id"] for hit in answer.json()["hits"]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("running")
    documents = [{"id": "tea", "text": "green tea"}, {"id": "rock", "text": "black rock"}]
    lw.build(folder / "notes", documents, model="bm25").close()
    log = folder / "log"
    command = [*SERVE, str(folder / "notes"), "--port", "0", "--writable", "--log", "json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    with log.open("wb") as file, subprocess.Popen(command, stderr=file, env=environment) as process:
        try:
            yield Served(process, folder / "notes", log)
        finally:
            process.kill()


def test_what_another_process_writes_is_found(served: Served) -> None:
    with lw.open(served.path) as other:
        other.add([{"id": "lava", "text": "lava flows"}])
    assert served.wait(lambda: served.found("lava"), 10) == ["lava"]
    assert served.wait(lambda: "generation" in served.log.read_text(), 10)
    with lw.open(served.path) as other:
        other.delete("lava")
    assert served.wait(lambda: not served.found("lava"), 10)


def test_what_a_client_writes_is_found_at_once(served: Served) -> None:
    document = {"id": "a/b c", "title": "Stone", "text": "a stone", "metadata": {"year": 1999}}
    added = served.client.post("/v1/documents", json={"documents": [document]})
    assert (added.status_code, added.json()["added"]) == (200, 1), added.text
    assert served.found("stone") == ["a/b c"]
    assert served.client.get("/v1/documents/a/b%20c").json() == document
    again = {"documents": [document], "replace": False}
    assert served.client.post("/v1/documents", json=again).status_code == 409
    assert served.client.delete("/v1/documents/a/b%20c").json()["deleted"] == 1
    assert served.client.delete("/v1/documents/a/b%20c").status_code == 404
    assert served.found("stone") == []
    with IndexWriter(served.path):
        busy = served.client.post("/v1/documents", json={"documents": [document]})
    assert (busy.status_code, busy.json()["error_type"]) == (409, "Conflict")


def test_a_damaged_generation_is_refused_and_the_old_one_served(served: Served) -> None:
    manifest = served.path / "manifest.json"
    sound = manifest.read_bytes()
    manifest.write_bytes(sound[: len(sound) // 2])
    gauge = 'lastword_index_damaged{index="notes"} 1.0'
    served.wait(lambda: gauge in served.client.get("/metrics").text, 10)
    assert served.found("tea") == ["tea"]
    assert "the old generation is served on" in served.log.read_text()
    assert served.client.get("/health").json()["damaged"] == ["notes"]
    manifest.write_bytes(sound)
    served.wait(lambda: gauge not in served.client.get("/metrics").text, 10)


def test_the_log_has_a_line_a_request_without_the_query(served: Served) -> None:
    assert served.found("green") == ["tea"]
    (line, *_) = [line for line in served.log.read_text().splitlines() if "/v1/search" in line]
    assert '"status": 200' in line and '"method": "POST"' in line
    assert '"green"' not in served.log.read_text()


def test_a_signal_ends_it_in_order(served: Served) -> None:
    """Last in this file: a request that runs is answered, and the exit code is 0."""
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0
    with pytest.raises(httpx.HTTPError):
        served.client.get("/health")
    assert "Traceback" not in served.log.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--host", "0.0.0.0"], "needs a key"),
        (["--host", "no.such.host.invalid"], "needs a key"),
        (["--api-key-file", "short"], "at least 16"),
        (["--api-key-file", "absent"], "absent"),
        (["absent"], "no index at absent"),
        (["notes"], "two indexes are called"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(
    arguments: list[str],
    says: str,
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from lastword.main import main

    monkeypatch.chdir(served.path.parent)
    Path("short").write_text("too short\n")
    assert main(["serve", str(served.path), "--port", "0", *arguments]) == 2
    line = capsys.readouterr().err
    assert says in line and line.count("\n") == 1
