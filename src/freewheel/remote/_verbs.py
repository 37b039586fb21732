"""What clients may ask for: who may, what it takes, and what carries it out."""

from __future__ import annotations

import inspect
import typing
from contextlib import ExitStack
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from freewheel.background._holders import holding

from ._errors import NotAllowedError
from ._roles import VERBS
from ._verbs_devices import DeviceVerbs
from ._verbs_looks import LookVerbs
from ._verbs_plans import PlanVerbs
from ._verbs_queue import QueueVerbs
from ._verbs_tasks import TaskVerbs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._hub import Hub
    from ._offers import Offers
    from ._session import Session
    from ._verb_room import VerbRoom

__all__ = ["Verbs"]

_ROOMS: Final = (LookVerbs, PlanVerbs, QueueVerbs, DeviceVerbs, TaskVerbs)


def _room_of(verb: str) -> type[VerbRoom]:
    """Return the class that has a verb."""
    return next(room for room in _ROOMS if hasattr(room, verb))


class Verbs:
    """Carries out what clients ask for. On the server's loop alone.

    Parameters
    ----------
    hub : Hub
        What tells clients.
    offers : Offers
        The plans and devices.
    """

    def __init__(self, hub: Hub, offers: Offers) -> None:
        rooms = [room(hub, offers) for room in _ROOMS]
        self._methods = {
            verb: getattr(room, verb) for verb in VERBS for room in rooms if hasattr(room, verb)
        }

    def __call__(self, session: Session, verb: str, args: Mapping[str, Any]) -> Any:
        """Carry out a call.

        Returns
        -------
        object
            The answer, a `Later`, or a coroutine of either.

        Raises
        ------
        NotAllowedError
            If the client's role does not allow it.
        KeyError
            If there is no such verb.
        TypeError
            If it takes other arguments.
        """
        needed = VERBS.get(verb)
        if needed is None:
            raise KeyError(f"There is no verb {verb!r}. There are: {', '.join(sorted(VERBS))}.")
        role = session.client.role
        if not role.includes(needed):
            raise NotAllowedError(
                f"{session.client.name!r} is {role} here, and {verb!r} needs the role "
                f"{needed}: ask whoever runs the server for a token with that role."
            )
        try:
            given = msgspec.convert(dict(args), _SHAPES[verb])
        except msgspec.ValidationError as error:
            raise TypeError(f"{verb!r} cannot be asked for so: {error}") from error
        with ExitStack() as hands:  # what the client holds is lent to what it begins
            for lease in session.leases.values():
                hands.enter_context(holding(lease.hand))
            return self._methods[verb](session, **msgspec.structs.asdict(given))


def _shape(verb: str) -> type[msgspec.Struct]:
    """Return the structure that a verb's arguments must have: its parameters, with their types."""
    function: Any = getattr(_room_of(verb), verb)
    names = {**function.__globals__, "Session": object}  # which is imported for types alone
    hints = typing.get_type_hints(function, names)
    fields: list[Any] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("self", "session"):
            continue
        if parameter.default is parameter.empty:
            fields.append((name, hints[name]))
        elif isinstance(parameter.default, (list, dict)):
            kind = type(parameter.default)
            fields.append((name, hints[name], msgspec.field(default_factory=kind)))
        else:
            fields.append((name, hints[name], parameter.default))
    return msgspec.defstruct(verb, fields, kw_only=True, forbid_unknown_fields=True)


_SHAPES: Final = MappingProxyType({verb: _shape(verb) for verb in VERBS})
