"""Search and explanation."""

import asyncio

from fastapi import Request
from fastapi.responses import Response

from index.documents import UnknownDocumentError
from lastword.engine import SearchEngine
from lastword.server.batching import estimate_tokens
from lastword.server.errors import ServedError, new_router
from lastword.server.messages import (
    ExplainAnswer,
    ExplainedChannel,
    ExplainRequest,
    SearchAnswer,
    SearchAnswers,
    SearchRequest,
    WordWeight,
)
from lastword.server.searching import (
    Chosen,
    IndexSearch,
    Question,
    UnknownChannelError,
    name_query_words,
)
from lastword.server.state import QUERY, state_of
from lastword.server.turns import in_turn

router = new_router(404, 424)


@router.post("/v1/search", response_model=SearchAnswer | SearchAnswers, tags=["search"])
async def search(request: Request, asked: SearchRequest) -> Response:
    """Search an index for one query, or for several."""
    state = state_of(request)
    name, engine = state.engine(asked.index)
    run, chosen = IndexSearch(name, engine), Chosen.of(asked)
    request.scope[QUERY] = asked.query or asked.queries

    async def answer(text: str) -> bytes:
        found: bytes = await state.queue.submit(
            run, Question(text, chosen, asked), estimate_tokens(text)
        )
        return found

    async def answer_all() -> bytes:
        if asked.query:
            return await answer(asked.query)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(answer(text)) for text in asked.queries]
        return b'{"results":[%s]}' % b",".join(task.result() for task in tasks)

    try:
        found = await in_turn(request, answer_all())
    except ExceptionGroup as errors:
        raise _refusal(errors.exceptions[0]) from errors
    except (ValueError, OSError) as error:
        raise _refusal(error) from error
    return Response(found, media_type="application/json")


@router.post("/v1/explain", response_model=ExplainAnswer, tags=["search"])
async def explain(request: Request, asked: ExplainRequest) -> Response:
    """Say which words, in which channel, brought a document its score."""
    state = state_of(request)
    name, engine = state.engine(asked.index)
    chosen = Chosen.of(asked)
    try:
        found = await in_turn(request, state.run(_explain, name, engine, asked, chosen))
    except UnknownDocumentError as error:
        raise ServedError(404, f"index {name!r} has no document {asked.id!r}") from error
    except (ValueError, OSError) as error:
        raise _refusal(error) from error
    return Response(found.model_dump_json(), media_type="application/json")


def _explain(
    name: str, engine: SearchEngine, asked: ExplainRequest, chosen: Chosen
) -> ExplainAnswer:
    with engine.reading() as whole:
        retriever = chosen.apply(whole)
        found = retriever.explain(asked.query, asked.id, pieces=asked.pieces)
        return ExplainAnswer(
            index=name,
            generation=retriever.index.generation,
            query=asked.query,
            id=asked.id,
            title=found.document.title,
            score=found.score,
            found=asked.id in found.found,
            channels=[
                ExplainedChannel(
                    name=part.name,
                    score=part.score,
                    rank=part.rank,
                    share=part.share,
                    words=[WordWeight(word=word, weight=weight) for word, weight in part.words],
                    passage=part.passage,
                )
                for part in found.channels
            ],
            words=name_query_words(retriever, asked.query, found.asked),
        )


def _refusal(error: BaseException) -> ServedError:
    """Return what a client is told of an error of the library: it names what came, not files."""
    if isinstance(error, ServedError):
        return error
    if isinstance(error, UnknownChannelError):
        return ServedError(404, str(error))
    return ServedError(422 if isinstance(error, ValueError) else 424, str(error))
