"""Agents: the official client of the protocol searches, reads and asks, in each way it connects."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import TextContent

import lastword as lw
from lastword.agents.server import make_server
from lastword.agents.tools import AgentTools

LONG = " ".join(f"Stone {number} lies in the garden." for number in range(500))
DOCUMENTS: list[Any] = [
    {"id": "keys", "title": "Keys", "text": "rotate the key at night", "year": 1999},
    {"id": "tea", "text": "green tea is steeped for three minutes", "year": 2021},
    {"id": "stones", "text": LONG},
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agents") / "my.index"
    lw.build(folder, DOCUMENTS, model="bm25").close()
    return folder


@pytest.fixture
def tools(path: Path) -> Iterator[AgentTools]:
    with lw.open(path) as engine:
        yield AgentTools({"my.index": engine})


def ask(server: Any, tool: str, **arguments: Any) -> tuple[bool, Any]:  # noqa: ANN401
    """Call a tool by the official client: (whether it failed, its value or its message)."""

    async def call() -> tuple[bool, Any]:
        async with Client(server) as client:
            result = await client.call_tool(tool, arguments)
        if result.is_error:
            (told,) = result.content
            assert isinstance(told, TextContent)
            return True, told.text
        return False, result.structured_content

    return asyncio.run(call())


def test_search_gives_what_the_library_finds(tools: AgentTools, path: Path) -> None:
    _, found = ask(make_server(tools), "search", query="rotate a key", k=2)
    with lw.open(path) as engine:
        hits = engine.search("rotate a key", k=2)
    assert [(hit["id"], hit["score"]) for hit in found["hits"]] == [(h.id, h.score) for h in hits]
    first = found["hits"][0]
    assert first["passage"] == "rotate the key at night"
    assert (first["title"], first["metadata"], first["ranks"]) == (
        "Keys",
        {"year": 1999},
        {"bm25": 1},
    )


def test_passages_say_where_they_stand(tools: AgentTools) -> None:
    _, found = ask(make_server(tools), "search", query="stone 321")
    hit = found["hits"][0]
    assert "Stone 321 " in hit["passage"]
    assert LONG[hit["start"] : hit["end"]] == hit["passage"]
    assert hit["characters"] == len(LONG)


def test_long_documents_are_read_in_parts(tools: AgentTools) -> None:
    server, text, at = make_server(tools), "", 0
    while True:
        _, part = ask(server, "get_document", id="stones", start=at, characters=5000)
        text, at = text + part["text"], part["end"]
        if at == part["characters"]:
            break
    assert text == LONG
    _, after = ask(server, "get_document", id="stones", start=10**6)
    assert (after["text"], after["start"]) == ("", len(LONG))


def test_reasons_are_those_of_the_library(tools: AgentTools, path: Path) -> None:
    _, reasons = ask(make_server(tools), "explain", query="rotate a key", id="keys")
    with lw.open(path) as engine:
        (part,) = engine.explain("rotate a key", "keys").channels
    (channel,) = reasons["channels"]
    assert (channel["channel"], channel["rank"]) == ("bm25", 1)
    assert channel["words"] == dict(part.words)


def test_filters_choose_and_remarks_tell_what_is_in_vain(tools: AgentTools) -> None:
    server = make_server(tools)
    _, found = ask(server, "search", query="key tea", filter="year >= 2020")
    assert [hit["id"] for hit in found["hits"]] == ["tea"]
    assert found["remarks"] == []
    _, found = ask(server, "search", query="key tea", filter="yaer >= 2020")
    assert (found["hits"], len(found["remarks"])) == ([], 1)
    assert "no document has a field yaer" in found["remarks"][0]


def test_indexes_are_listed(tools: AgentTools) -> None:
    _, listed = ask(make_server(tools), "list_indexes")
    assert listed["result"] == [
        {"name": "my.index", "documents": 3, "channels": ["bm25"], "fusion": "", "fields": ["year"]}
    ]


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("search", {"query": " "}, "the query is empty"),
        ("search", {"query": "tea", "k": 0}, "k must be from 1 to 50; got 0"),
        ("search", {"query": "tea", "k": 10**30}, "k must be from 1 to 50"),
        (
            "search",
            {"query": "tea", "index": "other"},
            "there is no index 'other'; there is my.index",
        ),
        ("search", {"query": "tea", "filter": "year >"}, "filter"),
        ("get_document", {"id": "x"}, ": index 'my.index' has no document 'x'; search gives ids"),
        ("get_document", {"id": ""}, ": index 'my.index' has no document ''"),
        ("get_document", {"id": "tea", "start": -1}, "start must be from 0"),
        ("explain", {"query": "tea", "id": "x"}, ": index 'my.index' has no document 'x'"),
        ("explain", {"query": " ", "id": "tea"}, ": the query is empty; give some words"),
        ("search", {"k": 3}, "search: query: field required"),
        ("search", {"query": "tea", "k": 2.5}, "search: k: input should be a valid integer"),
        ("search", {"query": 3, "k": None}, "query: input should be a valid string; k: input"),
        ("remove", {}, "remove"),
    ],
)
def test_mistakes_are_told_in_words(
    tools: AgentTools, tool: str, arguments: dict[str, Any], expected: str
) -> None:
    failed, message = ask(make_server(tools), tool, **arguments)
    assert failed
    assert expected in message
    assert "\n" not in message and "Traceback" not in message and "pydantic" not in message


def test_tools_are_described_and_read_only(tools: AgentTools) -> None:
    async def listed() -> list[Any]:
        async with Client(make_server(tools)) as client:
            return list((await client.list_tools()).tools)

    found = asyncio.run(listed())
    assert [tool.name for tool in found] == ["search", "get_document", "explain", "list_indexes"]
    assert all(tool.description and tool.annotations.read_only_hint for tool in found)
    assert "query" in found[0].input_schema["required"]
    assert found[0].output_schema


def test_changes_of_other_programs_show_at_the_next_call(tmp_path: Path) -> None:
    lw.build(tmp_path / "a.index", ["green tea"], model="bm25").close()
    with lw.open(tmp_path / "a.index") as engine, lw.open(tmp_path / "a.index") as other:
        tools = AgentTools({"a": engine})
        assert len(tools.search("lava").hits) == 0
        other.add(["lava cools"])
        assert len(tools.search("lava").hits) == 1


def test_a_damaged_index_is_searched_as_it_was(tmp_path: Path) -> None:
    lw.build(tmp_path / "a.index", ["green tea"], model="bm25").close()
    with lw.open(tmp_path / "a.index") as engine:
        tools = AgentTools({"a": engine})
        (tmp_path / "a.index" / "manifest.json").write_text("{")
        found = tools.search("tea")
    assert (len(found.hits), len(found.remarks)) == (1, 1)
    assert "searched on" in found.remarks[0]


def test_an_agent_starts_the_command_and_speaks_over_pipes(path: Path) -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "lastword", "mcp", str(path)], cwd=Path.cwd()
    )
    failed, found = ask(parameters, "search", query="rotate a key", k=1)
    assert not failed
    assert found["hits"][0]["id"] == "keys"


def test_agents_are_answered_over_http_from_this_machine_only(path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [sys.executable, "-m", "lastword", "mcp", str(path), "--http", "--port", str(port)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = re.search(r"http://\S+/mcp", server.stderr.readline())
        assert address
        while True:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
        failed, found = ask(address[0], "search", query="steeped", k=1)
        taken = subprocess.run(arguments, capture_output=True, text=True)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) in (0, 130)
        assert "Traceback" not in server.stderr.read()
    assert not failed
    assert found["hits"][0]["id"] == "tea"
    assert taken.returncode == 2
    assert (
        taken.stderr.count("\n") == 1 and f"cannot listen at 127.0.0.1, port {port}" in taken.stderr
    )
