"""Who may do what: roles, and the role that each verb asks for."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LOOKING", "VERBS", "Role"]


class Role(StrEnum):
    """What a client may do.

    Attributes
    ----------
    OBSERVER
        Looks: state, documents, frames, values.
    OPERATOR
        Also runs, moves and stops.
    ADMIN
        Also takes leases from others.
    """

    OBSERVER = "observer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Tell whether it may do all that another role may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


_OBSERVER: Final = "explain futures offers picture read watch subscribe unsubscribe frames"
_OPERATOR: Final = (
    "submit preempt pause resume stop abort halt stop_all cancel "
    "trigger release preview "
    "queue_hold queue_release queue_clear queue_move queue_edit queue_put_back "
    "queue_on_interruption every every_cancel "
    "hand_set hand_stop claim unclaim "
    "launch launch_registered task_cancel task_pause task_resume"
)
_ADMIN: Final = "revoke"

#: The role that each verb asks for. A verb that is not here does not exist.
VERBS: Final[Mapping[str, Role]] = MappingProxyType(
    {
        verb: role
        for role, verbs in (
            (Role.OBSERVER, _OBSERVER),
            (Role.OPERATOR, _OPERATOR),
            (Role.ADMIN, _ADMIN),
        )
        for verb in verbs.split()
    }
)
#: The verbs that change nothing, which are not logged.
LOOKING: Final = frozenset({*_OBSERVER.split(), "preview"})
