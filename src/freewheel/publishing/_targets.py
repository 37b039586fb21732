"""What takes documents elsewhere: one for each kind of broker, loaded when it is asked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from freewheel.core import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._address import Address

__all__ = ["Item", "Target", "target_class"]


class Item(NamedTuple):
    """A document on its way."""

    run: str
    name: str
    doc: Mapping[str, Any]
    size: int
    since: float


class Target(ABC):
    """A connection to a broker, made with an `Address` and options; used on one thread.

    Making one connects, and raises `AwayError` if there is nobody. After such an error it is
    closed, and another made.
    """

    #: Whether the rest of a run can be sent over another connection, or after a refused document.
    #: If not, what is there of a run has to be replaced when it is sent again: with ``replace``.
    resumable: ClassVar[bool] = True
    #: Whether the broker says what has arrived. If not, nobody knows it of what was sent before a
    #: connection was lost.
    acknowledges: ClassVar[bool] = True
    #: How many documents it is given at once, at most: more than one where that is quicker.
    at_once: ClassVar[int] = 1

    @abstractmethod
    def __init__(self, address: Address, **options: Any) -> None: ...

    @abstractmethod
    def send(self, items: list[Item]) -> None:
        """Send documents, and wait until the broker has them, if it tells.

        Raises
        ------
        AwayError, RefusedError
            At the first that was not sent; ``sent`` tells which.
        """

    def check(self) -> None:  # noqa: B027 - where documents are acknowledged there is no need
        """Notice without sending anything that the broker has gone, if that can be noticed.

        Raises
        ------
        AwayError
            If it has.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""


class _Entry(NamedTuple):
    module: str
    name: str
    extra: str


_TARGETS: Final = {
    "zmq": _Entry("._zmq", "ZmqTarget", "zmq"),
    "nats": _Entry("._nats", "NatsTarget", "nats"),
    "kafka": _Entry("._kafka", "KafkaTarget", "kafka"),
    "tiled": _Entry("._tiled", "TiledTarget", "tiled"),
    "tiled+https": _Entry("._tiled", "TiledTarget", "tiled"),
}


def target_class(scheme: str) -> type[Target]:
    """Import what sends to such an address.

    Raises
    ------
    MissingExtraError
        If the packages are not installed.
    """
    entry = _TARGETS[scheme]
    try:
        found: type[Target] = getattr(import_module(entry.module, __package__), entry.name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "freewheel":
            raise
        raise MissingExtraError(f"Publishing to {scheme}://", entry.extra) from error
    return found
