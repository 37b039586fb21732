"""To a Tiled server, with bluesky's ``TiledWriter``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import httpx

from freewheel.recording import RecordingError, TiledConnectionError, TiledRecorder
from freewheel.recording._tiled_client import Connection, reporting

from ._errors import AwayError, RefusedError
from ._knock import knock
from ._targets import Target

if TYPE_CHECKING:
    from ._address import Address
    from ._targets import Item

__all__ = ["TiledTarget"]


@final
class TiledTarget(Target):
    """A Tiled server. A run is written from its start to its end over one connection, or not.

    With ``replace``, what is there of a run, if it has no end, makes room for it.
    """

    resumable = False

    def __init__(
        self,
        address: Address,
        *,
        arrays: str = "freewheel-arrays",
        batch_size: int | str = 100,
        api_key: str | None = None,
        replace: bool = False,
        **options: Any,
    ) -> None:
        scheme = "https" if address.scheme == "tiled+https" else "http"
        knock(address.servers, port=443 if scheme == "https" else 80)
        try:
            self._connection = Connection(f"{scheme}://{address.servers}/{address.path}", api_key)
        except RecordingError as error:
            raise AwayError(_text(error)) from error
        self._client = self._connection.client
        self._replace = replace
        self._recorder = TiledRecorder(
            self._client, arrays=arrays, batch_size=int(batch_size), **options
        )

    def send(self, items: list[Item]) -> None:
        """Write a document; events are the server's with each ``batch_size`` of them."""
        (item,) = items
        try:
            if item.name == "start" and self._replace:
                self._make_room(item.run)
            self._recorder(item.name, item.doc)
        except TiledConnectionError as error:
            if _is_refusal(error.__cause__):
                raise RefusedError(_text(error)) from error
            raise AwayError(_text(error)) from error
        except RecordingError as error:
            raise RefusedError(_text(error)) from error

    def _make_room(self, run: str) -> None:
        with reporting("cannot look for a run", self._connection.address, run):
            if run in self._client and "stop" not in self._client[run].metadata:
                self._client[run].delete(recursive=True, external_only=False)

    def close(self) -> None:
        """Give up the connection."""
        self._recorder.close()
        self._connection.close()


def _is_refusal(cause: BaseException | None) -> bool:
    return isinstance(cause, httpx.HTTPStatusError) and cause.response.is_client_error


def _text(error: RecordingError) -> str:
    cause = error.__cause__
    return f"{type(cause).__name__}: {cause}" if isinstance(cause, Exception) else error.args[0]
