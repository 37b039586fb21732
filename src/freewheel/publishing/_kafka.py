"""To Kafka, with bluesky-kafka's publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from bluesky_kafka import Publisher
from confluent_kafka import KafkaError, KafkaException

from ._errors import AwayError, RefusedError
from ._knock import knock
from ._targets import Target

if TYPE_CHECKING:
    from ._address import Address
    from ._targets import Item

__all__ = ["KafkaTarget"]

_PATIENCE: Final = 5.0  # s, for a broker to be found, and for it to take a document
_TOPIC: Final = "bluesky.documents"
_CONFIG: Final = {
    "enable.idempotence": True,  # in order, and none twice, whatever is sent again
    "linger.ms": 0,
    "message.timeout.ms": round(1000 * _PATIENCE),
    "log_level": 0,  # it would write to the terminal by itself
}


@final
class KafkaTarget(Target):
    """A topic of a Kafka cluster. All documents have one key, which keeps them in order."""

    at_once = 100

    def __init__(
        self,
        address: Address,
        *,
        key: str | None = None,
        producer_config: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        knock(address.servers)
        topic = address.path or _TOPIC
        self._reports: list[KafkaError | None] = []
        self._publisher = Publisher(
            topic,
            address.servers,
            key or topic,
            producer_config={**_CONFIG, **(producer_config or {})},
            on_delivery=lambda error, message: self._reports.append(error),
            **options,
        )
        try:
            self._publisher.get_cluster_metadata(_PATIENCE)
        except KafkaException as error:
            raise AwayError(_text(error.args[0])) from error

    def send(self, items: list[Item]) -> None:
        """Send documents together, and wait until the brokers have all of them."""
        self._reports.clear()
        refused: RefusedError | None = None
        for item in items:
            try:
                self._publisher(item.name, dict(item.doc))
            except BufferError:
                break
            except KafkaException as error:
                refused = RefusedError(_text(error.args[0]))
                break
            except Exception as error:  # whatever a serializer raises
                refused = RefusedError(f"it cannot be serialized: {error}")
                break
        self._publisher.flush()
        self._check(len(items), refused)

    def _check(self, wanted: int, refused: RefusedError | None) -> None:
        # Reports come in the order in which the documents were sent: they are of one partition.
        failed = next((n for n, error in enumerate(self._reports) if error is not None), None)
        if failed is not None:
            away = AwayError(_text(self._reports[failed]))
            away.sent = failed
            raise away
        if refused is not None:
            refused.sent = len(self._reports)
            raise refused
        if len(self._reports) < wanted:
            full = AwayError("the producer's queue is full")
            full.sent = len(self._reports)
            raise full

    def close(self) -> None:
        """Do nothing: what was sent has been reported, and the producer goes with the object."""


def _text(error: Any) -> str:
    return error.str() if isinstance(error, KafkaError) else str(error)
