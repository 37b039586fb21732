"""To a NATS server with JetStream, with bluesky-nats's publisher."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final, final

import nats
import nats.errors
import nats.js.errors
from bluesky_nats.nats_publisher import NATSPublisher
from bluesky_nats.nats_runtime import NatsRuntime
from bluesky_nats.outbox import Delivery, Outbox

from ._errors import AwayError, RefusedError
from ._knock import knock
from ._targets import Target

if TYPE_CHECKING:
    from nats.aio.client import Client

    from ._address import Address
    from ._targets import Item

__all__ = ["NatsTarget"]

_PATIENCE: Final = 3.0  # s, for a connection, and for the server to take a document
_TOLD: Final = ("NATS publish failed", "NATS no stream response", "NATS drain failed")
_SUBJECT: Final = "events.volatile"  # bluesky-nats's own


class _ToldElsewhere(logging.Filter):
    """Takes bluesky-nats's tracebacks out of bluesky's log: each failure is told by us."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record is to be logged."""
        return not str(record.msg).startswith(_TOLD)


logging.getLogger("bluesky").addFilter(_ToldElsewhere())


@final
class NatsTarget(Target):
    """A NATS server. Documents go to ``<subject>.<name>``, which a JetStream stream must have."""

    def __init__(self, address: Address, *, subject: str | None = None, **options: Any) -> None:
        knock(address.servers)
        self._subject = subject or address.path or _SUBJECT
        user = f"{address.user}@" if address.user else ""
        servers = [f"nats://{user}{server}" for server in address.servers.split(",")]
        settings = {
            "allow_reconnect": False,
            "connect_timeout": _PATIENCE,
            "error_cb": _say_nothing,
            **options,
        }
        self._publishers: dict[str, NATSPublisher] = {}  # by run: one would mix two runs up
        self._runtime = NatsRuntime("freewheel-nats", owns_client=False)
        self._client: Client | None = None
        try:
            self._connect(servers, settings)
        except BaseException:
            self.close()
            raise

    def _connect(self, servers: list[str], settings: dict[str, Any]) -> None:
        try:
            connection = asyncio.wait_for(nats.connect(servers, **settings), _PATIENCE)
            client = self._client = self._runtime.connect(connection, 2 * _PATIENCE)
            self._js = client.jetstream(timeout=_PATIENCE)
            self._runtime.setup(self._js.find_stream_name_by_subject(f"{self._subject}.start"))
        except nats.js.errors.NotFoundError as error:
            raise AwayError(
                f"the server has no JetStream stream for {self._subject}.start; make one with the "
                f"subjects {self._subject}.>"
            ) from error
        except (nats.errors.NoRespondersError, nats.js.errors.ServiceUnavailableError) as error:
            raise AwayError(
                "the server runs without JetStream; start it as nats-server -js"
            ) from error
        except nats.js.errors.APIError as error:
            raise AwayError(f"its JetStream says: {error.description}") from error
        except TimeoutError as error:
            raise AwayError(f"it does not answer within {_PATIENCE:g} s") from error
        except (nats.errors.Error, OSError) as error:
            raise AwayError(_text(error)) from error
        self._outbox = Outbox(self._runtime, client, delivery=Delivery.CRITICAL)

    def send(self, items: list[Item]) -> None:
        """Send a document, and wait until JetStream has it."""
        (item,) = items
        if item.run not in self._publishers:
            self._publishers[item.run] = NATSPublisher(self._outbox, self._js, self._subject)
            self._publishers[item.run].run_id = item.run
        try:
            self._publishers[item.run](item.name, item.doc)
        except (nats.errors.MaxPayloadError, TypeError, ValueError) as error:
            raise RefusedError(_text(error)) from error
        except Exception as error:
            raise AwayError(_text(error)) from error
        if item.name == "stop":
            del self._publishers[item.run]

    def close(self) -> None:
        """Give up the connection: nothing is on its way, for each document was acknowledged.

        Not as the runtime would, which waits in vain for a server that does not answer any more,
        and leaves the client's tasks behind then.
        """
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._runtime.setup(self._client.close(), _PATIENCE)
        self._runtime.close()


async def _say_nothing(error: Exception) -> None:
    """Leave it to who sends the next document to tell."""


def _text(error: BaseException) -> str:
    return str(error).removeprefix("nats: ") or type(error).__name__
