"""Protocols that freewheel adds to bluesky's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from bluesky.protocols import Reading, Status

__all__ = ["HasCache", "HasClaims", "TellsData", "TellsRefusals", "TellsTimes", "TriggersAhead"]


@runtime_checkable
class HasCache(Protocol):
    """A device that keeps readings which a plan hands it: what ``stash`` and ``clear_cache`` need.

    `freewheel.core.ReadingCache` is a ready-made one.
    """

    def stash(self, values: Mapping[str, Reading[Any]], /) -> Status:
        """Keep readings, by key as ``read`` gives them; the status is done when they are kept.

        Parameters
        ----------
        values : dict of str to Reading
            The readings.
        """
        ...

    def clear(self) -> Status:
        """Forget all readings; the status is done when they are forgotten."""
        ...


@runtime_checkable
class HasClaims(Protocol):
    """A device that drives others, which are not its children: who uses it needs them too.

    A pseudo axis of one's own over motors that belong to somebody else, a detector that opens a
    shared shutter, an instrument that is several devices.
    """

    def claimed_devices(self) -> Iterable[Any]:
        """Return the devices that whoever claims this one needs as well. It must be quick."""
        ...


@runtime_checkable
class TellsTimes(Protocol):
    """A device that says how long it will take, for previews of plans."""

    def expected_time(self, verb: str, value: Any, known: Callable[[Any], Any], /) -> float | None:
        """Return how long something will take, without asking hardware.

        It is asked about ``"trigger"`` when the plan has set something that it asked for then, and
        about ``"again"`` for what is triggered after that; ``None`` if that takes as long.

        Parameters
        ----------
        verb : str
            ``"set"``, ``"trigger"``, ``"again"``, ``"prepare"``, ``"complete"`` (all that it was
            prepared for), or ``"frame"``, one frame of a detector that was prepared with ``value``.
        value : object
            What it is set to, or prepared with.
        known : callable
            Returns the value of a signal of the device as the plan will have set it by then, and
            ``None`` if nobody knows it.

        Returns
        -------
        float or None
            Seconds; ``None`` if it does not know.
        """
        ...


@runtime_checkable
class TellsRefusals(Protocol):
    """A device that says which values it will refuse, for previews of plans.

    For what hangs on other values that the plan sets; what does not is told by ``check_value`` as
    well.
    """

    def expected_refusal(self, value: Any, known: Callable[[Any], Any], /) -> Exception | None:
        """Return what setting a value will fail with, without asking hardware.

        Parameters
        ----------
        value : object
            What it is to be set to.
        known : callable
            Returns the value of a signal of the device as the plan will have set it by then, and
            ``None`` if nobody knows it.

        Returns
        -------
        Exception or None
            ``None`` if it will be taken.
        """
        ...


@runtime_checkable
class TellsData(Protocol):
    """A device that says what an event will have of it, before it is prepared to tell."""

    def expected_data(self, known: Callable[[Any], Any], /) -> Mapping[str, Any]:
        """Return data keys as ``describe`` does, of ``dtype``, ``shape`` and ``dtype_numpy``.

        Parameters
        ----------
        known : callable
            Returns the value of a signal of the device as the plan will have set it by then, and
            ``None`` if nobody knows it.
        """
        ...


@runtime_checkable
class TriggersAhead(Protocol):
    """A device that takes a trigger while it exposes for the one before.

    A plan that goes as fast as it can then asks for the next exposure early, so that it begins as
    soon as the one before is over, and not when its documents are out.
    """

    @property
    def triggers_ahead(self) -> bool:
        """Whether it can be done now, and pays. Asked before each; it must be quick."""
        ...

    def trigger(self, *, ahead: bool = False) -> Status:
        """Trigger it.

        With ``ahead`` the status is done when the exposure after the one that is under way can be
        read, and not before that one **was** read. A trigger without it waits for no reading.
        """
        ...
