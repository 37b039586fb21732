"""What scripts and monitoring ask over HTTP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.responses import PlainTextResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from freewheel import __version__

from ._page import add_description, add_page

if TYPE_CHECKING:
    from ._door import Door
    from ._hub import Hub
    from ._offers import Offers
    from ._tokens import TokenFile

__all__ = ["make_app"]

_Token = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


def make_app(hub: Hub, door: Door, offers: Offers, tokens: TokenFile) -> FastAPI:
    """Return the application: the WebSocket at ``/ws``, and what is asked over HTTP."""

    def allowed(token: _Token) -> None:
        try:
            known = token is not None and tokens.client_of(token.credentials) is not None
        except (OSError, ValueError):
            raise HTTPException(503, "The server cannot read its tokens now.") from None
        if not known:
            raise HTTPException(401, "Send a token: Authorization: Bearer TOKEN")

    guarded = [Depends(allowed)]
    app = FastAPI(title="freewheel", version=__version__, docs_url=None, redoc_url=None)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        """Tell that the server is there, and whether its engine takes plans."""
        return {"ok": not hub.engine.closed, "version": __version__, "server": door.server}

    @app.get("/snapshot", dependencies=guarded)
    async def snapshot() -> Response:
        """Return the engine's state, as `EngineSnapshot` writes it."""
        return Response(hub.engine.snapshot().to_json(), media_type="application/json")

    @app.get("/plans", dependencies=guarded)
    async def plans() -> dict[str, Any]:
        """Return the plans on offer: a JSON schema of the arguments of each."""
        return offers.schemas()

    @app.get("/devices", dependencies=guarded)
    async def devices() -> dict[str, Any]:
        """Return the devices as trees of their parts, with what each can be asked for."""
        return offers.device_records()

    @app.get("/metrics", dependencies=guarded, response_class=PlainTextResponse)
    async def metrics() -> str:
        """Return counts in Prometheus' format."""
        return _metrics(hub, door)

    add_page(app)
    add_description(app)

    @app.websocket("/ws")
    async def line(socket: WebSocket) -> None:
        await door.serve(socket)

    return app


def _metrics(hub: Hub, door: Door) -> str:
    snapshot = json.loads(hub.engine.snapshot().to_json())
    sessions = list(hub.sessions.values())
    numbers = {
        "clients": ("gauge", "Clients on a line.", door.connections),
        "sessions": ("gauge", "Sessions, with those whose line is cut.", len(sessions)),
        "clients_dropped_total": ("counter", "Clients dropped for being slow.", door.dropped),
        "clients_refused_total": ("counter", "Connections refused.", door.refused),
        "documents_total": ("counter", "Documents sent on.", hub.documents),
        "backlog_bytes": ("gauge", "What waits for clients.", sum(s.backlog for s in sessions)),
        "queue_length": ("gauge", "Plans that wait.", len(snapshot["queue"])),
        "tasks": ("gauge", "Background tasks.", len(snapshot["background"])),
        "plan_running": ("gauge", "1 while a plan is under way.", int(bool(snapshot["plan"]))),
    }
    lines = []
    for name, (kind, text, value) in numbers.items():
        lines += [f"# HELP freewheel_{name} {text}", f"# TYPE freewheel_{name} {kind}"]
        lines.append(f"freewheel_{name} {value}")
    return "\n".join(lines) + "\n"
