"""Every error of its own that freewheel raises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bluesky.utils import FailedStatus

from ._devices import quoted_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "CircularWaitError",
    "EngineClosedError",
    "ForkedProcessError",
    "InterlockError",
    "InvalidState",
    "MissingExtraError",
    "NotStoppedError",
    "ResourceConflictError",
    "ServiceFailedError",
    "StatusTimeoutError",
    "UnknownStatusFailure",
    "WaitTimeoutError",
    "text_of",
    "typed_text_of",
    "unasked_cancellation",
    "with_text",
]


class InvalidState(RuntimeError):  # noqa: N818 - the name that ophyd's users know
    """A status was finished a second time."""


class StatusTimeoutError(TimeoutError):
    """A status was not finished within its own `timeout`."""


class WaitTimeoutError(TimeoutError):
    """A wait for a status ended before the status did. The status goes on."""


class UnknownStatusFailure(RuntimeError):  # noqa: N818 - the name that ophyd's users know
    """A status was told that it failed, but not why."""


class CircularWaitError(RuntimeError):
    """A plan or task was about to wait for what cannot end before itself; the text names both."""


class EngineClosedError(RuntimeError):
    """An engine was called after `close()`."""


class ForkedProcessError(RuntimeError):
    """Something that belongs to the parent process was used in a forked child.

    Threads do not survive a fork, so that the call could never be answered.
    """


class ServiceFailedError(RuntimeError):
    """A service that must run for as long as the engine does has ended."""


class ResourceConflictError(RuntimeError):
    """A plan needs a device that another one holds.

    Parameters
    ----------
    device : object
        The device that both want, or its name.
    holder : object
        Who holds it: a task, or the name of a plan or a program.
    requester : object
        Who asked for it and was refused.
    via : object, optional
        The device that it is held with, if it is held because that one is.
    """

    def __init__(
        self, device: object, holder: object, requester: object, via: object = None
    ) -> None:
        # The parts, not the message, are the arguments: so the error survives pickling.
        super().__init__(device, holder, requester, via)
        self.device = device
        self.holder = holder
        self.requester = requester
        self.via = via

    def __str__(self) -> str:
        """Name all three."""
        device, holder, requester = (
            quoted_name(part) for part in (self.device, self.holder, self.requester)
        )
        kinds = _kind(self.requester), _kind(self.holder)
        remedy = _REMEDIES.get(kinds) or _REMEDIES.get((None, kinds[1])) or _REMEDY
        also = "" if self.via is None else f" with {quoted_name(self.via)}"
        return (
            f"{requester} needs {device}, which {holder} holds{also}. "
            f"{remedy.format(device=device, holder=holder)}"
        )

    @property
    def _render_traceback_(self) -> Callable[[], list[str]]:
        # IPython asks for this: a person whose move is refused needs the text, and none of the
        # source lines that lead to it. Whoever looks for the fault of a plan needs them.
        if _kind(self.requester) != "hand":
            raise AttributeError("_render_traceback_")
        return lambda: [f"{type(self).__name__}: {self}"]


def _kind(who: object) -> str | None:
    """Return what sort of holder it is: ``"plan"``, ``"task"`` or ``"hand"``."""
    return getattr(who, "kind", None)


_REMEDY: Final = "Wait until {holder} has ended or releases {device}, or cancel it."
#: What to do, by who asks and who holds.
_REMEDIES: Final[dict[tuple[str | None, str | None], str]] = {
    ("hand", "plan"): (
        "Pause the plan: then it lends {device} to you, and gets it back before it goes on. A "
        "setting that the plan leaves to you, such as the exposure time of a live view, is set "
        "between two of its messages: RE.by_hand.set(..., between=True)."
    ),
    ("hand", "task"): "Pause the task, which then lends {device} to you, or cancel it.",
    ("task", "plan"): (
        "Let the task wait for it, with on_conflict='pause'; or, for a task of that plan's own, "
        "have the plan lend it, with claims=. Or wait until {holder} has ended or closes its run."
    ),
    ("plan", "task"): (
        "Cancel the task, or start it with on_conflict='cancel' or 'pause', so that it gives way."
    ),
    (None, "hand"): (
        "Wait until it is released by hand. Plans that are submitted inside of `with "
        "RE.claims.hold(...)` may use it."
    ),
}


class InterlockError(RuntimeError):
    """An interlock keeps something from being done to a device.

    Parameters
    ----------
    interlock : str
        Its name.
    why : str
        What its condition is.
    verb : str
        What was to be done.
    device : object
        The device, or its name.
    requester : object
        Who asked: a plan, a task or a person, or the name.
    """

    def __init__(
        self, interlock: str, why: str, verb: str, device: object, requester: object
    ) -> None:
        # The parts, not the message, are the arguments: so the error survives pickling.
        super().__init__(interlock, why, verb, device, requester)
        self.interlock = interlock
        self.why = why
        self.verb = verb
        self.device = device
        self.requester = requester

    def __str__(self) -> str:
        """Name all of them."""
        return (
            f"{quoted_name(self.requester)} may not {self.verb} {quoted_name(self.device)}: the "
            f"interlock {self.interlock!r} is tripped ({self.why}). RE.interlocks shows them all."
        )


class NotStoppedError(RuntimeError):
    """``RE.stop_all()`` could not bring everything to rest.

    Parameters
    ----------
    what : sequence of str
        What could not be stopped, and why, one line each.
    """

    def __init__(self, what: Sequence[str]) -> None:
        super().__init__(tuple(what))
        self.what = tuple(what)

    def __str__(self) -> str:
        """Name all of it, and say what to do."""
        return (
            f"Not everything is at rest: {'; '.join(self.what)}. Look at the instrument; "
            "RE.stop_all() tries again."
        )


class MissingExtraError(ImportError):
    """A feature needs packages that are not installed.

    Parameters
    ----------
    feature : str
        What was asked for, such as ``"freewheel.qt"``.
    extra : str
        The extra of freewheel that brings the packages, such as ``"qt"``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)
        self.feature = feature
        self.extra = extra

    def __str__(self) -> str:
        """Give the command that mends it."""
        return (
            f"{self.feature} needs packages that are not installed. "
            f'Install them with: pip install "freewheel[{self.extra}]"'
        )


#: What ophyd's errors mean whose texts are a status as a program writes it.
_OF_OPHYD: Final = {
    "StatusTimeoutError": "it did not end in the time that it was given",
    "UnknownStatusFailure": "it failed, and does not say why",
    "WaitTimeoutError": "it has not ended yet",
}


def _said_by(error: BaseException) -> str:
    """Return the text of an exception, or what it means, if a person could not read that.

    Tango's are 20 lines long, ophyd's hold the status, and a bare time-out says nothing.
    """
    if type(error).__module__ == "ophyd.utils.errors" and type(error).__name__ in _OF_OPHYD:
        return _OF_OPHYD[type(error).__name__]
    if isinstance(error, TimeoutError) and not error.args:
        return "no answer in time"
    said = [part.desc for part in error.args if isinstance(getattr(part, "desc", None), str)]
    # What was asked of which device is the last of them; why it failed comes before.
    return "; ".join(" ".join(part.split()) for part in reversed(said)) or str(error)


def text_of(error: BaseException, made_by: Callable[[BaseException], str] = _said_by) -> str:
    """Return what an exception says; of one whose own code raises, that it cannot say it.

    For what must go on all the same, such as the clean-up of a plan that has failed.
    """
    try:
        return made_by(error)
    except Exception as failure:
        return f"a {type(error).__name__} whose text cannot be had ({type(failure).__name__})"


def typed_text_of(error: BaseException) -> str:
    """Return what an exception says, after its type: ``"ValueError: no such axis"``.

    Of a failed status it is the type of why that failed, with which its text begins.
    """
    text = text_of(error)
    return text if isinstance(error, FailedStatus) else f"{type(error).__name__}: {text}"


def with_text(error: Exception) -> Exception:
    """Return an error for a host that puts it into words: the one given, if it has a text."""
    try:
        str(error)
    except Exception:
        return RuntimeError(f"The plan raised {text_of(error)}.")
    return error


def unasked_cancellation(what: str, cause: BaseException) -> RuntimeError:
    """Return the failure of something that ended with a cancellation that nobody had asked for.

    Not the ``CancelledError`` itself: whoever awaits the failed future would be cancelled by it,
    without a word.
    """
    error = RuntimeError(
        f"The {what} ended with a cancellation that nobody had asked for: something that it "
        "awaited was cancelled, or it raised CancelledError."
    )
    error.__cause__ = cause
    return error
