"""The page for a phone or a tablet beside the instrument, served from the package."""

from __future__ import annotations

from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from fastapi import HTTPException
from fastapi.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add_page"]

#: All that is served, and as what: nobody's path is looked up on the disk.
_FILES: Final = MappingProxyType(
    {
        "index.html": "text/html",
        "page.css": "text/css",
        "page.js": "text/javascript",
        "line.js": "text/javascript",
        "frames.js": "text/javascript",
        "msgpack.js": "text/javascript",
    }
)
#: It loads nothing from elsewhere, and is shown within no other page.
_HEADERS: Final = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
            "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
)


def add_page(app: FastAPI) -> None:
    """Serve the page at ``/``; it asks for a token, and is the client of a WebSocket then."""
    folder = resources.files(__package__) / "page"
    files = {name: (folder / name).read_bytes() for name in _FILES}

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _response("index.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return _response(name)

    def _response(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], media_type=_FILES[name], headers=dict(_HEADERS))
