"""Posts of JSON to fixed paths, answered beside fastapi's router, which takes longer than HTTP.

The routes stay fastapi's: it describes them, and answers whatever is no such post.
"""

import inspect
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from lastword.server.errors import JSONRequest, tell_http_error, tell_invalid


class DirectRoutes:
    """Calls the function of a route with the request and its body; everything else is the app's.

    Args:
        app: that answers everything else.
        routers: of which the routes that take a request and one model are called.
    """

    def __init__(self, app: ASGIApp, routers: Iterable[APIRouter]) -> None:
        self._app = app
        self._routes: dict[str, tuple[APIRoute, type[BaseModel]]] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and (body := _body_of(route)) is not None:
                    self._routes[route.path] = (route, body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        posted = scope["type"] == "http" and scope["method"] == "POST"
        found = self._routes.get(scope["path"]) if posted else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"], body = found
        response = await _answer(JSONRequest(scope, receive), scope["route"], body)
        await response(scope, receive, send)


async def _answer(request: JSONRequest, route: APIRoute, body: type[BaseModel]) -> Response:
    try:
        request.check_media()
        try:
            asked = body.model_validate(await _read(request))
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_url=False)) from error
        response: Response = await route.endpoint(request, asked)
        return response
    except RequestValidationError as error:
        return await tell_invalid(request, error)
    except HTTPException as error:
        return await tell_http_error(request, error)


async def _read(request: JSONRequest) -> Any:  # noqa: ANN401
    if not await request.body():
        raise RequestValidationError([{"type": "missing", "loc": (), "msg": "Field required"}])
    return await request.json()


def _body_of(route: APIRoute) -> type[BaseModel] | None:
    """Return the model of what is posted to a route; None where it takes anything else."""
    kinds = [each.annotation for each in inspect.signature(route.endpoint).parameters.values()]
    if "POST" not in (route.methods or ()) or len(kinds) != 2 or kinds[0] is not Request:
        return None
    body = kinds[1]
    return body if isinstance(body, type) and issubclass(body, BaseModel) else None
