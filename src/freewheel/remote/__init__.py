"""Engines elsewhere: one process owns the hardware, and everybody else is a client.

`EngineServer` serves an engine; `connect` gives a `RemoteEngine`, which is used as one of this
process. Extra ``remote``.
"""

from typing import TYPE_CHECKING

from freewheel import _lazy

if TYPE_CHECKING:
    from ._connect import connect, connect_async
    from ._delivery import RemoteFrame
    from ._devices import RemoteDevice
    from ._engine import RemoteEngine
    from ._errors import (
        ConnectionLostError,
        NotAllowedError,
        ProtocolError,
        RemoteError,
        ServerRestartedError,
    )
    from ._limits import Limits
    from ._roles import Role
    from ._server import EngineServer
    from ._tokens import Client, TokenFile, default_token_path

__all__ = [
    "Client",
    "ConnectionLostError",
    "EngineServer",
    "Limits",
    "NotAllowedError",
    "ProtocolError",
    "RemoteDevice",
    "RemoteEngine",
    "RemoteError",
    "RemoteFrame",
    "Role",
    "ServerRestartedError",
    "TokenFile",
    "connect",
    "connect_async",
    "default_token_path",
]

if not TYPE_CHECKING:
    _find, __dir__ = _lazy.attach(
        __name__,
        __all__,
        (
            "._errors",
            "._roles",
            "._limits",
            "._tokens",
            "._devices",
            "._delivery",
            "._engine",
            "._connect",
            "._server",
        ),
    )

    def __getattr__(name):
        try:
            return _find(name)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] == "freewheel":
                raise
            from freewheel.core import MissingExtraError

            raise MissingExtraError(f"freewheel.remote.{name}", "remote") from error
