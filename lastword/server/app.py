"""The app of a server: routers, error bodies, start and stop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from starlette.exceptions import HTTPException

from embedder.rerank.reranker import PairReranker
from lastword.engine import SearchEngine
from lastword.server.embeddings import openai, tei
from lastword.server.embeddings.reading import EmbeddingModels
from lastword.server.errors import tell_http_error, tell_invalid
from lastword.server.guard import Guard
from lastword.server.routes import documents, page, search, status
from lastword.server.routes.direct import DirectRoutes
from lastword.server.settings import ServerSettings
from lastword.server.state import ServerState
from lastword.server.watching import watch_indexes


def make_app(
    engines: Mapping[str, SearchEngine],
    settings: ServerSettings | None = None,
    reranker: PairReranker | None = None,
) -> FastAPI:
    """Return the app that serves open indexes.

    Args:
        engines: by name, at least one; closed by the caller, after the app.
        settings: see `ServerSettings`.
        reranker: what `/rerank` scores by; None is nothing.
    """
    state = ServerState(engines, settings or ServerSettings())

    @asynccontextmanager
    async def live(app: FastAPI) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(state.queue.work()), asyncio.create_task(watch_indexes(state))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            state.close()

    app = FastAPI(
        title="lastword",
        version=version("lastword"),
        lifespan=live,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.server = state
    app.state.embeddings = EmbeddingModels(state, reranker)
    own = (search.router, documents.router, documents.writing, status.router)
    routers = (*own, tei.router, openai.router)
    for router in (*routers, page.make_router()):
        app.include_router(router)
    app.add_exception_handler(HTTPException, tell_http_error)
    app.add_exception_handler(RequestValidationError, tell_invalid)
    app.add_middleware(DirectRoutes, routers=routers)
    app.add_middleware(Guard, state=state)
    if state.settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=state.settings.origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )
    return app
