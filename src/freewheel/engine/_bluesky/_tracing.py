"""Whether anybody traces the plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from opentelemetry.trace import ProxyTracerProvider, get_tracer_provider

if TYPE_CHECKING:
    from ._ports import PlanUnderWay

__all__ = ["Tracing"]

#: A plan is asked for so many messages before there is another look: it takes as long as a message.
UNTIL_NEXT_LOOK: Final = 32


@final
class Tracing:
    """Tells whether a tracer was set up, which is asked for each message. On the engine's loop."""

    __slots__ = ("_asked_for", "_on", "_unlooked")

    def __init__(self) -> None:
        self._on = False
        self._asked_for: PlanUnderWay | None = None  # the plan that it was last looked for
        self._unlooked = 0  # so many of its messages need no look

    def is_on(self, plan: PlanUnderWay | None) -> bool:
        """Tell whether there is one, and look for each plan anew, and in it now and then."""
        if self._asked_for is plan and self._unlooked:
            self._unlooked -= 1
            return self._on
        # Once a tracer is set up it stays.
        if not self._on:
            self._asked_for, self._unlooked = plan, UNTIL_NEXT_LOOK - 1
            self._on = not isinstance(get_tracer_provider(), ProxyTracerProvider)
        return self._on

    def was_on(self, plan: PlanUnderWay | None) -> bool:
        """Tell whether there was one at the plan's last look, or look if it had none."""
        if self._asked_for is not plan:
            return self.is_on(plan)
        return self._on
