"""Errors as a server tells them: a status, and {"error": one sentence, "error_type": its kind}.

On the paths of OpenAI's interface they have its shape: {"error": {"message": one sentence, ...}}.
"""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from embedder.files.config_file import parse_json
from embedder.text.printable import printable

_LONGEST = 400  # characters of a sentence
KINDS = {
    400: ("Validation", "The request cannot be read."),
    401: ("Unauthorized", "The key is missing or wrong."),
    403: ("Forbidden", "The server was not started for this."),
    404: ("NotFound", "There is no such index, channel, document or path."),
    405: ("MethodNotAllowed", "The path does not take this method."),
    408: ("Timeout", "The body did not come in time."),
    409: ("Conflict", "The index has such a document, or another program writes to it."),
    413: ("Validation", "The request is too large."),
    415: ("Validation", "The body is not application/json, or is compressed."),
    421: ("Misdirected", "The Host header names another server."),
    422: ("Validation", "A value of the request is not legal."),
    424: ("Backend", "The model or the index cannot answer."),
    429: ("Overloaded", "All places are taken; Retry-After says when to try again."),
    499: ("ClientGone", "The client has left."),
    500: ("Backend", "A fault of the server."),
    503: ("Unhealthy", "The server is stopping."),
    504: ("Timeout", "The answer was not ready in time."),
}
"""Status -> its kind, and what it means."""
_OPENAI_PATHS = ("/v1/embeddings", "/v1/models")
_OPENAI_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


class ErrorBody(BaseModel):
    """What every error answers."""

    error: str
    error_type: str


class OpenAIError(BaseModel):
    """An error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorBody(BaseModel):
    """What every error on OpenAI's paths answers."""

    error: OpenAIError


class ServedError(HTTPException):
    """An error with a status and one sentence for the client."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, text, headers)


def error_response(
    status: int, text: str, headers: dict[str, str] | None = None, path: str = ""
) -> JSONResponse:
    """Return the answer for an error, shaped as the clients of a path read it."""
    sentence = printable(" ".join(text.split()))
    short = sentence if len(sentence) <= _LONGEST else f"{sentence[: _LONGEST - 1]}…"
    if path.startswith(_OPENAI_PATHS):
        kind = "server_error" if status >= 500 else "invalid_request_error"
        code = _OPENAI_CODES.get(status)
        error = OpenAIError(message=short, type=kind, param=None, code=code)
        status = 400 if status == 422 else status
        return JSONResponse(OpenAIErrorBody(error=error).model_dump(), status, headers)
    kind = KINDS[status][0] if status in KINDS else "Validation"
    return JSONResponse(ErrorBody(error=short, error_type=kind).model_dump(), status, headers)


def error_answers(
    *statuses: int, body: type[BaseModel] = ErrorBody
) -> dict[int | str, dict[str, Any]]:
    """Describe errors of a route, for its OpenAPI document."""
    return {one: {"model": body, "description": KINDS[one][1]} for one in statuses}


class _JSONRoute(APIRoute):
    """A route whose body is read as a `JSONRequest` has it."""

    def get_route_handler(self) -> Any:  # noqa: ANN401  (fastapi's type)
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            own = JSONRequest(request.scope, request.receive)
            own.check_media()
            return await handle(own)

        return handle_strictly


class JSONRequest(Request):
    """A request whose body is read by `parse_json`, which bounds depth and refuses NaN."""

    def check_media(self) -> None:
        """Refuse what is posted as another type than JSON, or compressed.

        A page elsewhere may send other types here without asking the browser for leave.
        """
        media = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if self.method == "POST" and media != "application/json":
            raise ServedError(415, "a body must have the header Content-Type: application/json")
        coding = self.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity"):
            text = f"a body must not be compressed; its Content-Encoding is {coding!r}"
            raise ServedError(415, text, {"Accept-Encoding": "identity"})

    async def json(self) -> Any:  # noqa: ANN401
        """Read the body."""
        try:
            return parse_json(await self.body(), "the body", encodable=True)
        except ValueError as error:
            raise ServedError(400, str(error)) from None


def new_router(*statuses: int, body: type[BaseModel] = ErrorBody) -> APIRouter:
    """Return a router for paths that may answer these errors beside those of every path."""
    usual = (400, 401, 408, 413, 415, 421, 422, 429, 500, 503, 504)
    answers = error_answers(*sorted({*usual, *statuses}), body=body)
    return APIRouter(route_class=_JSONRoute, responses=answers)


async def tell_http_error(request: Request, error: Exception) -> Response:
    """Answer an HTTPException."""
    assert isinstance(error, HTTPException)
    text, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 405:  # starlette names those of the first route of the path
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    if not isinstance(error, ServedError):
        text = {404: "there is no such path", 405: "this path does not take that method"}.get(
            error.status_code, text
        )
    return error_response(error.status_code, text, headers, request.url.path)


def _methods_at(request: Request) -> set[str]:
    methods: set[str] = set()
    for outer in request.app.routes:  # newer fastapi keeps routers that were included apart
        for route in getattr(getattr(outer, "original_router", None), "routes", [outer]):
            if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
                methods |= route.methods or set()
    return methods | {"HEAD"} if "GET" in methods else methods


async def tell_invalid(request: Request, error: Exception) -> Response:
    """Answer a request whose values are not of the right types: the first of them is named."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    if request.method != "POST" or parts[:1] == ["body"]:  # before it: "path", "query" or "body"
        parts = parts[1:]
    place = ".".join(parts) or "the body"
    text = str(first["msg"]).removeprefix("Value error, ").replace(" after validation", "")
    return error_response(422, f"{place}: {text[:1].lower()}{text[1:]}", path=request.url.path)
