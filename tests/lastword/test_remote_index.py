"""Indexes whose texts a server reads: made, searched again, and refused from a stranger."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lastword as lw
from embedder.checkpoints.trust import ModelAccess
from lastword.main import main
from tests.servers import WIDTH, Answer, Request, Server, respond, row, serve

TEXTS = {"a": "green tea is steeped", "b": "rotate the key", "c": "black rock", "d": ""}
QUERY = "rotate a key"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LASTWORD_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture
def source(tmp_path: Path) -> str:
    lines = [json.dumps({"_id": name, "text": text}) for name, text in TEXTS.items()]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    return str(tmp_path / "texts.jsonl")


def search(capsys: pytest.CaptureFixture[str], *more: str) -> dict[str, float]:
    assert main(["search", "my.index", QUERY, "--json", "--quiet", *more]) == 0
    return {hit["id"]: hit["score"] for hit in json.loads(capsys.readouterr().out)["hits"]}


@pytest.mark.parametrize("name", ["tei:{url}", "openai:hash@{url}/v1"])
def test_dense_rows_of_a_server_are_searched(
    name: str, server: Server, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    embedder = name.format(url=server.url)
    index = ["index", source, "-o", "my.index", "--on-empty", "keep", "--channels", "dense"]
    assert main([*index, "--embedder", embedder]) == 0
    assert f"Encoder: {embedder} (dense)" in capsys.readouterr().err
    want = {at: float(row(QUERY) @ row(text)) for at, text in TEXTS.items() if text} | {"d": 0.0}
    channel = lw.open("my.index").search(QUERY, k=4)
    assert {hit.id: hit.channels["dense"].score for hit in channel} == pytest.approx(want, abs=1e-5)
    assert list(search(capsys)) == [hit.id for hit in channel]


@pytest.mark.parametrize("route", ["/embed", "/embed_sparse"])
def test_rows_of_zeros_for_texts_that_are_not_empty_are_counted(
    route: str, server: Server, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They were taken untold, and nothing ever found the text."""
    if route == "/embed_sparse":
        server.info["model_type"] = {"embedding": {"pooling": "splade"}}

    def nothing_for_one(request: Request) -> Answer | None:
        status, rows, headers = respond(server, request)
        if request.route == route and "black rock" in request.body["inputs"]:
            at = request.body["inputs"].index("black rock")
            rows[at] = [0.0] * WIDTH if route == "/embed" else []
        return status, rows, headers

    server.override = nothing_for_one
    channel = "dense" if route == "/embed" else "sparse"
    index = ["index", source, "-o", "my.index", "--on-empty", "keep", "--channels", channel]
    assert main([*index, "--embedder", f"tei:{server.url}"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "zeros, or no terms, for 1 non-empty text, which" in said


def test_sparse_rows_of_a_server_go_into_the_inverted_index(
    server: Server, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.info["model_type"] = {"embedding": {"pooling": "splade"}}
    index = ["index", source, "-o", "my.index", "--on-empty", "skip", "-q"]
    assert main([*index, "--embedder", f"tei:{server.url}", "--channels", "sparse"]) == 0
    assert list(search(capsys)) == ["b"]
    with lw.open("my.index") as opened:
        explained = opened.explain(QUERY, id="b")
    assert explained.channels[0].score == 2.0  # "rotate" and "key"
    assert main(["add", "my.index", source, "-q", "--on-empty", "skip"]) == 2  # known ids
    assert "a" in capsys.readouterr().err


def test_a_stranger_chooses_no_server(
    server: Server, source: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An index is searched by the server that made it only where its user has named that."""
    name = f"tei:{server.url}"
    index = ["index", source, "-o", "my.index", "--on-empty", "skip", "-q"]
    assert main([*index, "--embedder", f"{name}/"]) == 0
    before = search(capsys)
    (file,) = (home / "servers").iterdir()
    file.unlink()
    seen = len(server.requests)
    assert main(["search", "my.index", QUERY, "-q"]) == 2
    err = capsys.readouterr().err
    assert f"--allow-model {name}" in err and err.count("\n") == 1
    with pytest.raises(ValueError, match="a server that queries would be sent to"):
        lw.open("my.index")
    assert len(server.requests) == seen
    assert search(capsys, "--allow-model", f"{name}/") == before
    assert search(capsys) == before  # asked once
    file.unlink()
    with serve() as moved:
        assert search(capsys, "--model", f"tei:{moved.url}") == before
        moved.info["model_sha"] = "another"
        assert main(["search", "my.index", QUERY, "-q", "--model", f"tei:{moved.url}"]) == 2
        assert "revision" in capsys.readouterr().err
    assert lw.open("my.index", access=ModelAccess(allow_model=f"{name}/")).ids()


def test_the_document_that_a_server_refuses_is_named(
    server: Server, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(source).open("a") as file:
        file.write('\n{"_id": "odd", "text": "unreadable"}\n')
    index = ["index", source, "-o", "my.index", "--on-empty", "skip", "-q"]
    assert main([*index, "--embedder", f"tei:{server.url}"]) == 2
    err = capsys.readouterr().err
    assert "document 'odd': " in err and "answered 422" in err and err.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    index = ["index", source, "-o", "i", "--on-empty", "skip", "--embedder"]
    assert main([*index, "tei:http://127.0.0.1:9"]) == 2
    err = capsys.readouterr().err
    assert "http://127.0.0.1:9 cannot be asked: " in err and "Traceback" not in err
    assert main([*index, "http://127.0.0.1:9"]) == 2
    assert "tei:URL or openai:MODEL@URL" in capsys.readouterr().err
    assert main([*index[:-1], "--model", "tei:http://127.0.0.1:9"]) == 2
    assert "give it as --embedder" in capsys.readouterr().err


def test_a_server_from_python(server: Server) -> None:
    encoder = lw.load_encoder(f"tei:{server.url}")
    assert np.allclose(encoder.encode_query("tea"), row("tea"), atol=1e-6)
    with lw.build(None, list(TEXTS.values())[:3], model=f"openai:hash@{server.url}/v1") as index:
        assert index.search(QUERY, k=3)[0].channels["dense"].score
