"""What belongs to a plan on its engine, put aside while another plan runs in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from freewheel.background import Holder

    from ._core import EngineCore
    from ._ports import PlanUnderWay

__all__ = ["Aside"]


@final
class Aside:
    """All that an engine keeps for one plan, which is parked; made and given back on the loop.

    Each part of an engine that keeps something for a plan is in `EngineCore.parts`, and hands it
    out here. So the plan that comes next finds an engine with nothing on it, and the first one
    finds its own again.

    Attributes
    ----------
    plan : PlanUnderWay
        The plan.
    name : str
        Its name.
    holder : Holder
        Who it is in the ledger of claims.
    """

    __slots__ = ("_core", "_laid", "_using", "holder", "name", "plan")

    def __init__(self, core: EngineCore) -> None:
        self._core = core
        self.plan: PlanUnderWay = core.under_way
        self.name = core.plan_name
        self.holder: Holder = core.tasks.holder
        self._using = core.devices_in_use()
        self._laid: dict[Any, Any] = {}
        # First this, and then the rest: at every moment one of the two tells what is in use.
        core.parked = (*core.parked, self)
        self._laid = {part: part.lay_aside() for part in (*core.parts, core)}

    def give_back(self) -> None:
        """Have the engine be the plan's again; what another plan has left there is over."""
        core = self._core
        assert core.parked[-1] is self, "the plan that was parked last comes back first"
        for part in (*core.parts, core):
            if part in self._laid:  # one that was made since has nothing of this plan's
                part.take_up(self._laid[part])
        core.parked = core.parked[:-1]

    def of(self, part: Any) -> Any:
        """Return what a part has handed out; from any thread, where that allows it."""
        return self._laid[part]

    def devices(self) -> list[Any]:
        """Return the devices that the plan has moved, has staged or uses; from any thread."""
        if not self._laid:
            return self._using
        laid = self._laid[self._core.devices]
        return [*laid.moved.copy(), *laid.staged.copy(), *self.in_use()]

    def in_use(self) -> list[Any]:
        """Return the devices that are under way still; from any thread."""
        if not self._laid:
            return self._using
        in_use: list[Any] = self._laid[self._core.statuses].in_use()
        return in_use
