"""Composes documents like event-model, and checks of each only what was not found valid before.

event-model holds each document against a JSON schema in Python: milliseconds for a descriptor.
That the checks left out have nothing to find follows from the schema alone.
"""

from __future__ import annotations

from os import urandom
from typing import TYPE_CHECKING, Any, Final

from event_model import ComposeDescriptor, ComposeEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from event_model import ComposeDescriptorBundle

__all__ = ["LeanComposeDescriptor", "LeanComposeEvent"]

_MOST_FORMS: Final = 1024

#: What stands for the variant of a random UUID, by a random digit: its two highest bits are 10.
_VARIANT: Final = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))

#: Digests of the forms of descriptors that were found valid. Any engine's loop adds to it and looks
#: into it, each in one step.
_valid: set[bytes] = set()


def _digest(form: bytes) -> bytes:
    from hashlib import blake2b  # here, for an engine starts without it

    return blake2b(form).digest()


class LeanComposeDescriptor(ComposeDescriptor):
    """Composes descriptors, and validates those of a form that was not found valid before.

    The form is all that the schema looks at: everything but the times, the uids and the values of
    settings, which may be anything, as long as they are no mappings: their keys are looked at.
    """

    def __call__(
        self,
        name: Any,
        data_keys: Any,
        hints: Any = None,
        configuration: Any = None,
        object_keys: Any = None,
        object_classes: Any = None,
        time: float | None = None,
        uid: str | None = None,
        validate: bool = True,
    ) -> ComposeDescriptorBundle:
        rest = (hints, configuration, object_keys, object_classes, time, uid)
        # event-model has an error for other keys than those of an earlier descriptor.
        if not validate or self.streams.get(name, data_keys.keys()) != data_keys.keys():
            return super().__call__(name, data_keys, *rest, validate)
        form = (name, data_keys, hints, object_keys, object_classes, type(time), type(uid))
        settings = {owner: _form(each) for owner, each in (configuration or {}).items()}
        digest = _digest(repr((form, settings)).encode())
        bundle = super().__call__(name, data_keys, *rest, digest not in _valid)
        if len(_valid) >= _MOST_FORMS:
            _valid.clear()
        _valid.add(digest)
        return bundle


def _form(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a device, with nothing for the values that may be anything."""
    return {
        part: {key: value if isinstance(value, dict) else None for key, value in values.items()}
        if part in ("data", "timestamps") and isinstance(values, dict)
        else values
        for part, values in settings.items()
    }


class LeanComposeEvent(ComposeEvent):
    """Composes events, and validates those whose validity depends on anything but their keys.

    The schema of events leaves the contents of ``data`` and ``timestamps`` open, and every other
    field is made here or by event-model; so what is left to check is which keys there are. Where
    they are not those of the descriptor, event-model's own check finds the words.
    """

    def __init__(self, original: ComposeEvent) -> None:
        super().__init__(descriptor=original.descriptor, event_counters=original.event_counters)
        data_keys = original.descriptor["data_keys"]
        self.required = frozenset(
            key for key, data_key in data_keys.items() if data_key.get("external") != "STREAM:"
        )
        # bluesky marks these as not filled in each event of a bundle.
        self.unfilled = {
            key: False
            for key, data_key in data_keys.items()
            if "external" in data_key and data_key["external"] != "STREAM:"
        }

    def __call__(
        self,
        data: dict[str, Any],
        timestamps: dict[str, Any],
        seq_num: int | None = None,
        filled: dict[str, bool | str] | None = None,
        uid: str | None = None,
        time: float | None = None,
        validate: bool = True,
    ) -> Any:
        if (
            validate
            and seq_num is None
            and uid is None
            and time is None
            and type(data) is type(timestamps) is dict
            and data.keys() == self.required
            and timestamps.keys() == self.required
            and (not filled or filled == self.unfilled)
        ):
            validate = False
            uid = _new_uid()
        return super().__call__(data, timestamps, seq_num, filled, uid, time, validate)


def _new_uid() -> str:
    """Return the text of a random UUID, in a third of the time that one of `uuid` takes.

    RFC 9562, section 5.4: all of it is random but for four bits of version and two of variant.
    """
    digits = urandom(16).hex()
    return (
        f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-"
        f"{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
    )
