"""Documents out: to 0MQ, NATS, Kafka and Tiled, which may be slow or away."""

from typing import TYPE_CHECKING

from freewheel import _lazy

if TYPE_CHECKING:
    from ._address import SCHEMES, read_address
    from ._errors import PublishingError
    from ._publisher import Publisher, PublisherStatus
    from ._resend import send_runs

__all__ = [
    "SCHEMES",
    "Publisher",
    "PublisherStatus",
    "PublishingError",
    "read_address",
    "send_runs",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = _lazy.attach(
        __name__, __all__, ("._errors", "._address", "._publisher", "._resend")
    )
