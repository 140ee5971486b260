"""A request's turn: a place for it, a limit on its time, and its end when the client leaves."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from lastword.server.errors import ServedError
from lastword.server.state import state_of

Answer = TypeVar("Answer")


async def in_turn(request: Request, work: Coroutine[Any, Any, Answer]) -> Answer:
    """Await the work of a request, whose body has been read.

    Raises:
        ServedError: 429 all places are taken, 504 it took too long, 499 the client has left;
            the work is cancelled then.
    """
    state = state_of(request)
    if state.taken >= state.settings.places:
        work.close()
        text = f"all {state.settings.places} places are taken; try again in a second"
        raise ServedError(429, text, {"Retry-After": "1"})
    state.taken += 1
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_wait_until_left(request))
    try:
        await asyncio.wait(
            {task, left}, timeout=state.settings.seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if task.done():
            return task.result()
        if left.done():
            raise ServedError(499, "the client has left")
        raise ServedError(504, f"the answer was not ready in {state.settings.seconds:g} seconds")
    finally:
        left.cancel()
        task.cancel()
        state.taken -= 1


async def _wait_until_left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
