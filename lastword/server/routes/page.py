"""The web page: the files of lastword/server/page, and nothing else."""

import hashlib
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

_FOLDER = Path(__file__).parent.parent / "page"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
"""Scripts and styles are files of ours, and no text can become markup."""


class _File:
    """A file as it is answered; browsers ask each time whether it is the one that they have."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.headers = {
            "Content-Type": _TYPES[path.suffix],
            "Content-Security-Policy": _POLICY,
            "Cache-Control": "no-cache",
            "ETag": f'"{hashlib.sha256(self.content).hexdigest()[:16]}"',
        }

    def answer(self, request: Request) -> Response:
        """Answer with the file, or that it has not changed."""
        known = request.headers.get("if-none-match", "")
        if self.headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known.split(",")):
            return Response(status_code=304, headers=self.headers)
        return Response(self.content, headers=self.headers)


def make_router() -> APIRouter:
    """Return the routes of the page, with its files read."""
    router = APIRouter(include_in_schema=False)
    for path in sorted(_FOLDER.iterdir()):
        if path.suffix in _TYPES:
            name = "/" if path.name == "index.html" else f"/page/{path.name}"
            router.add_api_route(name, _File(path).answer, methods=["GET", "HEAD"])
    return router
