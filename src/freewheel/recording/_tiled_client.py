"""Connections to Tiled servers, and what can go wrong with them."""

from __future__ import annotations

import contextlib
import weakref
from typing import TYPE_CHECKING, Any, Final, final

from freewheel.core import MissingExtraError

from ._errors import RecordingError, TiledConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FEATURE", "Connection", "reporting"]

FEATURE: Final = "Tiled"


def _imported() -> Any:
    try:
        import tiled.client
    except ImportError as error:
        raise MissingExtraError(FEATURE, "tiled") from error
    return tiled.client


@contextlib.contextmanager
def reporting(what: str, address: str, run: str | None = None) -> Iterator[None]:
    """Turn whatever a lost or unwilling server raises into an error that names it."""
    import httpx

    try:
        yield
    except RecordingError:
        raise
    except (httpx.HTTPError, OSError) as error:
        message = (
            f"{what}: the Tiled server does not answer as it should "
            f"({type(error).__name__}: {error}). Is it running, and is the API key right?"
        )
        raise TiledConnectionError(message, file=address, run=run) from error


@final
class Connection:
    """A client of a server, and its address without any key.

    A client that was made here is closed when the last that needs it has gone: whoever does,
    refers to this object. One that was given stays open; it is its maker's.

    Parameters
    ----------
    target : str or tiled client
        The address, or a client.
    api_key : str, optional
        The server's API key, if it is not part of its address.
    """

    def __init__(self, target: Any, api_key: str | None) -> None:
        tiled_client = _imported()
        self.close: Callable[[], object] = lambda: None
        if not isinstance(target, str):
            self.client, self.address = target, str(target.uri)
            return
        from tiled.client.context import Context

        self.address = target.partition("?")[0]
        key = {"api_key": api_key} if api_key else {}
        with reporting("cannot connect", self.address):
            context, parts = Context.from_any_uri(target, **key)
            # It refers to the connections and not to this object, so that this can go. Idempotent.
            self.close = weakref.finalize(self, context.close)
            self.client = self._enter(tiled_client, context, parts)

    def _enter(self, tiled_client: Any, context: Any, parts: Any) -> Any:
        try:
            return tiled_client.from_context(context, node_path_parts=parts)
        except RuntimeError:  # a hint for Python's prompt, of a client that has no key
            message = (
                "the Tiled server wants an API key: give it as ?api_key=KEY in the address, or in "
                "the environment as TILED_API_KEY"
            )
            raise TiledConnectionError(message, file=self.address) from None
