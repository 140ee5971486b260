"""What a server is and how it does."""

from importlib.metadata import version

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from embedder.types import Encoder
from lastword.engine import SearchEngine
from lastword.server.errors import new_router
from lastword.server.messages import HealthAnswer, IndexesAnswer, IndexMessage
from lastword.server.searching import sparse_channels
from lastword.server.state import state_of

router = new_router()


@router.get("/health", response_model=HealthAnswer, tags=["operation"])
async def health(request: Request) -> Response:
    """Say that the server answers; no key is needed."""
    state = state_of(request)
    answer = HealthAnswer(status="ok", indexes=len(state.engines), damaged=sorted(state.damage))
    return JSONResponse(answer.model_dump())


@router.get("/metrics", response_class=PlainTextResponse, tags=["operation"])
async def metrics(request: Request) -> Response:
    """Return counters and gauges in the text format of Prometheus."""
    state = state_of(request)
    state.metrics.note_places(state.taken, len(state.queue))
    state.metrics.note_indexes(state.engines, state.damage)
    return PlainTextResponse(state.metrics.write())


@router.get("/v1/indexes", response_model=IndexesAnswer, tags=["search"])
async def list_indexes(request: Request) -> Response:
    """List the indexes that are served."""
    state = state_of(request)
    answer = IndexesAnswer(
        indexes=[
            _message(name, engine, state.damage.get(name)) for name, engine in state.engines.items()
        ],
        writable=state.settings.writable,
        version=version("lastword"),
    )
    return JSONResponse(answer.model_dump())


def _message(name: str, engine: SearchEngine, damaged: str | None) -> IndexMessage:
    with engine.reading() as retriever:
        index = retriever.index
        return IndexMessage(
            name=name,
            generation=index.generation,
            documents=index.documents,
            channels=list(retriever.channels),
            sparse=sparse_channels(retriever),
            fusion=retriever.fusion if len(retriever.channels) > 1 else None,
            models={channel: _model(each) for channel, each in retriever.encoders.items()},
            unfinished=index.unfinished is not None,
            damaged=damaged,
        )


def _model(encoder: Encoder) -> str:
    return str(getattr(getattr(encoder, "spec", None), "model", "") or type(encoder).__name__)
