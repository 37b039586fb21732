"""The pages, served from the package: one for a phone or a tablet, one that describes HTTP."""

from __future__ import annotations

from html import escape
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from fastapi import HTTPException
from fastapi.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add_description", "add_page"]

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


#: FastAPI's own pages load programs from elsewhere.
_DESCRIPTION: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>freewheel over HTTP</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="page/page.css">
</head>
<body>
<header><strong>freewheel over HTTP</strong> <span>version {version}</span></header>
<main>
{sections}
<section><h2>For programs</h2><a href="openapi.json">openapi.json</a></section>
</main>
</body>
</html>
"""


def add_description(app: FastAPI) -> None:
    """Serve what `app` says of itself as a page at ``/docs``; after all else was added."""
    described = app.openapi()
    sections = [
        _section(path, method, about)
        for path, methods in described["paths"].items()
        for method, about in methods.items()
    ]
    text = _DESCRIPTION.format(
        version=escape(described["info"]["version"]), sections="\n".join(sections)
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(text, media_type="text/html", headers=dict(_HEADERS))


def _section(path: str, method: str, about: dict[str, Any]) -> str:
    token = "without a token"
    if about.get("security"):
        token = "with <code>Authorization: Bearer TOKEN</code>"
    text = escape(about.get("description", "").replace("`", ""))
    return (
        f"<section><h2>{escape(method.upper())} {escape(path)}</h2>"
        f"<p>{text}</p><small>{token}</small></section>"
    )
