"""Places, time limits, and clients that leave: over the app itself, without a socket."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import lastword as lw
from lastword.server.app import make_app
from lastword.server.settings import ServerSettings
from lastword.server.state import ServerState

QUERY = {"query": "rotate a key", "channels": ["bm25"], "k": 1}
Steps = Callable[[httpx.AsyncClient, ServerState], Awaitable[None]]


def run(engine: lw.SearchEngine, settings: ServerSettings, steps: Steps) -> None:
    """Run steps with a client of a server that lives meanwhile."""
    app = make_app({"notes": engine}, settings)

    async def live() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            asyncio.timeout(20),
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            await steps(client, app.state.server)

    asyncio.run(live())


@contextmanager
def held(state: ServerState) -> Iterator[None]:
    """Hold the thread that encodes and searches."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(items: list[int]) -> list[int]:
        begun.set()
        go_on.wait(10)
        return items

    task = asyncio.ensure_future(state.queue.submit(hold, 0))
    try:
        yield
    finally:
        go_on.set()
        task.cancel()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_more_requests_than_places_are_told_when_to_come_again(engine: lw.SearchEngine) -> None:
    async def steps(client: httpx.AsyncClient, state: ServerState) -> None:
        with held(state):
            waiting = [asyncio.create_task(client.post("/v1/search", json=QUERY)) for _ in range(3)]
            await until(lambda: state.taken == 3)
            refused = await client.post("/v1/search", json=QUERY)
            assert refused.status_code == 429
            assert refused.json()["error_type"] == "Overloaded"
            assert int(refused.headers["Retry-After"]) >= 1
            assert (await client.get("/health")).status_code == 200
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}
        assert state.taken == 0

    run(engine, ServerSettings(places=3), steps)


def test_an_answer_that_takes_too_long_is_given_up(engine: lw.SearchEngine) -> None:
    async def steps(client: httpx.AsyncClient, state: ServerState) -> None:
        with held(state):
            late = await client.post("/v1/search", json=QUERY)
            assert (late.status_code, late.json()["error_type"]) == (504, "Timeout")
            assert "0.05 seconds" in late.json()["error"]
            assert (state.taken, len(state.queue)) == (0, 0)

    run(engine, ServerSettings(seconds=0.05), steps)


def test_a_client_that_leaves_frees_its_place(engine: lw.SearchEngine) -> None:
    """Its query leaves the queue too, whether the thread is busy or not."""
    app_messages = [
        {"type": "http.request", "body": b'{"query": "key"}'},
        {"type": "http.disconnect"},
    ]

    async def steps(client: httpx.AsyncClient, state: ServerState) -> None:
        async def receive() -> Any:  # noqa: ANN401
            return app_messages.pop(0)

        async def send(message: Any) -> None:  # noqa: ANN401
            sent.append(message)

        sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/search",
            "raw_path": b"/v1/search",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
            "http_version": "1.1",
            "scheme": "http",
        }
        with held(state):
            transport = client._transport
            assert isinstance(transport, httpx.ASGITransport)
            await transport.app(scope, receive, send)
            assert (state.taken, len(state.queue)) == (0, 0)
        assert sent[0]["status"] == 499

    run(engine, ServerSettings(), steps)


def test_a_server_that_stops_refuses_what_is_new(engine: lw.SearchEngine) -> None:
    async def steps(client: httpx.AsyncClient, state: ServerState) -> None:
        with held(state):
            running = asyncio.create_task(client.post("/v1/search", json=QUERY))
            await until(lambda: state.taken == 1)
            state.stopping = True
            refused = await client.post("/v1/search", json=QUERY)
            assert (refused.status_code, refused.json()["error_type"]) == (503, "Unhealthy")
        assert (await running).status_code == 200

    run(engine, ServerSettings(), steps)


def test_answers_to_many_clients_are_those_of_the_library(engine: lw.SearchEngine) -> None:
    """Searches of different channels, fusions and filters share a pass, and nothing else."""
    kinds: list[dict[str, Any]] = [
        {},
        {"channels": ["dense"]},
        {"channels": ["bm25", "sparse"], "fusion": "rrf"},
        {"filter": "year >= 2021"},
        {"k": 2},
    ]
    queries = ["rotate a key", "black tea", "lava on the shore", "month", "three minutes"]

    async def steps(client: httpx.AsyncClient, state: ServerState) -> None:
        asked = [{"query": query, **kind} for query in queries for kind in kinds]
        apart = [(await client.post("/v1/search", json=one)).json() for one in asked]
        together = await asyncio.gather(*(client.post("/v1/search", json=one) for one in asked))
        for one, alone, answer in zip(asked, apart, together, strict=True):
            found = answer.json()
            assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in alone["hits"]]
            for hit, same in zip(found["hits"], alone["hits"], strict=True):
                assert hit["score"] == pytest.approx(same["score"], abs=1e-5), one
        plain = [answer.json()["hits"] for answer in together[:: len(kinds)]]
        for query, hits in zip(queries, plain, strict=True):
            assert [hit["id"] for hit in hits] == [hit.id for hit in engine.search(query)]

    run(engine, ServerSettings(batch_wait=0.05), steps)


def test_a_fault_of_ours_is_told_without_its_details(app: FastAPI) -> None:
    async def live() -> None:
        async def fail() -> None:
            raise RuntimeError("a secret")

        app.add_api_route("/fail", fail)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://localhost"
        ) as client:
            answer = await client.get("/fail")
        assert answer.status_code == 500
        assert "secret" not in answer.text and answer.json()["error_type"] == "Backend"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"

    asyncio.run(live())


def test_requests_that_only_send_are_bounded_too(
    engine: lw.SearchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvicorn's own bound on connections answers 503 without a sentence; seen under load."""
    monkeypatch.setattr("lastword.server.guard.MOST_REQUESTS", 2)

    async def steps(client: httpx.AsyncClient, state: ServerState) -> None:
        with held(state):
            waiting = [asyncio.create_task(client.post("/v1/search", json=QUERY)) for _ in range(2)]
            await until(lambda: state.taken == 2)
            refused = await client.get("/v1/indexes")
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert {answer.status_code for answer in await asyncio.gather(*waiting)} == {200}

    run(engine, ServerSettings(), steps)
