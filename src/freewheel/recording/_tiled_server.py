"""A Tiled server in this process."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from freewheel.core import MissingExtraError

from ._errors import RecordingError
from ._tiled_client import FEATURE

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["tiled_server"]


@contextlib.contextmanager
def tiled_server(
    directory: str | os.PathLike[str], *, port: int = 0, api_key: str | None = None
) -> Iterator[Any]:
    """Run a Tiled server in this process, with its catalogue in SQLite.

    For one user on one machine: it listens on this machine only.

    Parameters
    ----------
    directory : str or Path
        Where the catalogue and all data are. Made if need be; used again if there is one.
    port : int
        The port, or 0 for any free one.
    api_key : str, optional
        The key that clients have to show, of letters and digits; by default one is made.

    Yields
    ------
    tiled.server.SimpleTiledServer
        Its ``uri`` is what clients connect to; arrays in files are read from below its
        ``directory / "arrays"``.

    Raises
    ------
    MissingExtraError
        When Tiled's server is not installed.
    RecordingError
        When the directory cannot be made, the port is taken, or the server does not start.
    ValueError
        When the key is not of letters and digits alone.
    """
    if api_key is not None and not (api_key.isascii() and api_key.isalnum()):
        message = f"a Tiled server's key is made of letters and digits alone, not {api_key!r}"
        raise ValueError(message)
    try:
        from tiled.server import SimpleTiledServer
    except ImportError as error:
        raise MissingExtraError(FEATURE, "tiled") from error
    folder = Path(directory).absolute()
    arrays = folder / "arrays"
    try:
        arrays.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"cannot keep a catalogue here: {error.strerror or error}"
        raise RecordingError(message, file=folder) from error
    _check_port(port)
    try:
        server = SimpleTiledServer(folder, api_key=api_key, port=port, readable_storage=[folder])
    except Exception as error:  # of SQLite, of its migrations, of the network
        first, *_ = str(error).splitlines() or [""]
        message = f"the Tiled server did not start ({type(error).__name__}: {first}); see error.log"
        raise RecordingError(message, file=folder) from error
    try:
        yield server
    finally:
        server.close()


def _check_port(port: int) -> None:
    """Refuse a port that is taken: the server itself would not say so, but wait for 20 s."""
    with socket.socket() as probe:
        # As the server does it: a port whose last connections still fade away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            message = f"the server cannot listen at port {port}: {reason}. Choose another, or 0"
            raise RecordingError(message) from error
