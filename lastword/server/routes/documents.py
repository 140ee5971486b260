"""Documents: one is read; in a server that is writable, some are added or deleted."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.responses import Response

from index.documents import Document
from lastword.engine import SearchEngine
from lastword.server.errors import ServedError, new_router
from lastword.server.messages import (
    LONGEST_ID,
    LONGEST_NAME,
    AddAnswer,
    AddRequest,
    DeleteAnswer,
    DocumentMessage,
)
from lastword.server.state import ServerState, state_of
from lastword.server.turns import in_turn

router = new_router(404)
writing = new_router(403, 404, 409, 424)
_PathName = Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]
_QueryName = Annotated[
    str, Query(min_length=1, max_length=LONGEST_ID, description="Any id, also . or one of lines.")
]
_IndexName = Annotated[
    str | None, Query(min_length=1, max_length=LONGEST_NAME, description="The first by default.")
]


@router.get("/v1/documents/{id:path}", response_model=DocumentMessage, tags=["documents"])
async def get_document(request: Request, id: _PathName, index: _IndexName = None) -> Response:  # noqa: A002
    """Return a document by its id, which may hold slashes."""
    state = state_of(request)
    name, engine = state.engine(index)
    try:
        document = await in_turn(request, state.run(engine.get, id))
    except KeyError as error:
        raise ServedError(404, f"index {name!r} has no document {id!r}") from error
    message = DocumentMessage(
        id=document.id,
        title=document.title,
        text=document.text,
        metadata=dict(document.metadata),
    )
    return Response(message.model_dump_json(), media_type="application/json")


@router.get("/v1/documents", response_model=DocumentMessage, tags=["documents"])
async def get_any_document(request: Request, id: _QueryName, index: _IndexName = None) -> Response:  # noqa: A002
    """Return a document by its id, which no path need be able to hold."""
    return await get_document(request, id, index)


@writing.post("/v1/documents", response_model=AddAnswer, tags=["documents"])
async def add_documents(request: Request, asked: AddRequest) -> Response:
    """Add documents; one whose id is known takes the place of the old one."""
    state = _writable(request)
    name, engine = state.engine(asked.index)
    change = engine.upsert if asked.replace else engine.add

    def add() -> AddAnswer:
        documents = [Document(**each.model_dump()) for each in asked.documents]
        report, (generation, count) = change(documents), _now(engine)
        return AddAnswer(index=name, added=report.documents, generation=generation, documents=count)

    return await _written(request, state, add)


@writing.delete("/v1/documents/{id:path}", response_model=DeleteAnswer, tags=["documents"])
async def delete_document(
    request: Request,
    id: _PathName,  # noqa: A002
    index: _IndexName = None,
) -> Response:
    """Delete a document."""
    state = _writable(request)
    name, engine = state.engine(index)

    def delete() -> DeleteAnswer:
        try:
            deleted, (generation, count) = engine.delete(id), _now(engine)
        except KeyError as error:
            raise ServedError(404, f"index {name!r} has no document {id!r}") from error
        return DeleteAnswer(index=name, deleted=deleted, generation=generation, documents=count)

    return await _written(request, state, delete)


@writing.delete("/v1/documents", response_model=DeleteAnswer, tags=["documents"])
async def delete_any_document(
    request: Request,
    id: _QueryName,  # noqa: A002
    index: _IndexName = None,
) -> Response:
    """Delete a document by its id, which no path need be able to hold."""
    return await delete_document(request, id, index)


async def _written(
    request: Request, state: ServerState, change: Callable[[], AddAnswer | DeleteAnswer]
) -> Response:
    """Change an index in the request's turn."""
    try:
        message = await in_turn(request, state.write(change))
    except (ValueError, TypeError, BlockingIOError) as error:
        raise ServedError(409, str(error)) from error
    except OSError as error:  # that of the machine names a file of the server
        text = f"the index cannot be written: {error.strerror}" if error.strerror else str(error)
        raise ServedError(424, text) from error
    return Response(message.model_dump_json(), media_type="application/json")


def _writable(request: Request) -> ServerState:
    state = state_of(request)
    if not state.settings.writable:
        raise ServedError(403, "this server only reads; start it with --writable")
    return state


def _now(engine: SearchEngine) -> tuple[int, int]:
    with engine.reading() as retriever:
        return retriever.index.generation, retriever.index.documents
