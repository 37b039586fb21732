"""bluesky's own magics, made to wait for a run engine whose calls do not."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import bluesky.run_engine
from bluesky.plans import count
from bluesky.utils import maybe_await
from IPython.core.error import UsageError

from freewheel.core import PlanStatus
from freewheel.core._connection import told_of_connection
from freewheel.core._crossings import call_soon, run_soon
from freewheel.core._devices import device_children
from freewheel.terminal import PauseFirst, wait_for

from ._magics import asked, how_it_stands, say, stay

if TYPE_CHECKING:
    from freewheel.core import EngineSnapshot

    from ._jobs import Jobs

__all__ = ["bluesky_magics"]


#: Seconds that devices have to say where they are.
_PATIENCE = 10.0


class _WaitingEngine:
    """What the magics take for a run engine: its calls wait, and Ctrl-C pauses."""

    def __init__(self, jobs: Jobs, notebook: bool) -> None:
        self._jobs = jobs
        self._notebook = notebook
        self.waiting_hook: Any = None  # the magics set it; the progress is shown without it

    @property
    def engine(self) -> Any:
        """The engine that the prompt is about."""
        return self._jobs.engine()

    def __call__(self, plan: Any, subs: Any = None, **metadata: Any) -> None:
        __tracebackhide__ = True  # what is raised is the plan's
        engine = self._jobs.engine()
        future = engine(plan, subs, **metadata)
        if future in engine.queued:
            say(_why_it_waits(engine.snapshot(), future.plan_name))
        ended = stay(engine, future, PauseFirst(), notebook=self._notebook)
        if future.cancelled():
            say(f"{future.plan_name} was taken out of the queue.")
        elif not ended:
            say(f"Detached: {future.plan_name} goes on. %fg attaches to it.")
        else:
            future.exception(0)  # so that it counts as looked after
            if (failure := future.failure) is not None:
                raise failure
            if future.status is not PlanStatus.COMPLETED:
                say(how_it_stands(engine, future))


def _why_it_waits(picture: EngineSnapshot, name: str) -> str:
    why = f"behind {picture.plan_name}, which is {picture.state}"
    if picture.queue_held is not None:
        why = f"the queue is held ({picture.queue_held}), and %release frees it"
    return f"Queued: {why}. Ctrl-C takes {name} out of the queue."


def bluesky_magics(shell: Any, jobs: Jobs, *, notebook: bool) -> Any:
    """Return bluesky's magics, for the engine that the prompt is about."""
    magics_class = _import()

    class WaitingMagics(magics_class):  # type: ignore[misc,valid-type]
        """``%mov``, ``%movr``, ``%ct`` and ``%wa``; they wait, and Ctrl-C pauses."""

        RE = _WaitingEngine(jobs, notebook)

        def _ensure_idle(self) -> None:
            """Leave a paused plan alone: here it can be resumed."""

        def mov(self, line: str) -> None:
            """Move devices: ``%mov stage.x 3``, or several pairs."""
            if jobs.engine().is_elsewhere:
                _move_there(self.RE, "mv", line, self.shell.user_ns)
            else:
                super().mov(line)

        def movr(self, line: str) -> None:
            """Move devices by so much."""
            if jobs.engine().is_elsewhere:
                _move_there(self.RE, "mvr", line, self.shell.user_ns)
            else:
                super().movr(line)

        def wa(self, line: str) -> None:
            """List where everything is; without labelled devices, all that can be located."""
            if type(self).positioners or _labelled(self.shell.user_ns):
                super().wa(line)
            else:
                _where(jobs.engine(), _chosen(line, self.shell.user_ns, "locate", "position"))

        def ct(self, line: str) -> None:
            """Count labelled devices; or those that are named, such as ``%ct scope.camera``."""
            if type(self).detectors or _labelled(self.shell.user_ns):
                super().ct(line)
            else:
                _count(self.RE, _chosen(line, self.shell.user_ns, "read") if line.strip() else [])

    # IPython's registry is kept by the base class; a subclass has what it inherits.
    WaitingMagics.magics = magics_class.magics
    WaitingMagics.registered = True
    return WaitingMagics(shell)


def _labelled(namespace: dict[str, Any]) -> bool:
    from bluesky.magics import get_labeled_devices

    return bool(get_labeled_devices(user_ns=namespace))


def _chosen(line: str, namespace: dict[str, Any], *able: str) -> list[Any]:
    """Return the devices that are named in ``line``, or all of the namespace, with an ability."""
    if words := line.split():
        devices = [_evaluated(word, namespace) for word in words]
        for word, device in zip(words, devices, strict=True):
            if not _is_able(device, able):
                raise UsageError(f"{word} has no {able[0]}().")
        return devices
    found: dict[int, Any] = {}
    for name, value in list(namespace.items()):
        if not name.startswith("_"):
            for device in value.values() if isinstance(value, Mapping) else [value]:
                _collect(device, able, found)
    return sorted(found.values(), key=lambda device: str(device.name))


def _evaluated(word: str, namespace: dict[str, Any]) -> Any:
    try:
        return eval(word, namespace)
    except Exception as error:
        raise UsageError(f"{word}: {error}") from None


def _is_able(device: Any, able: tuple[str, ...]) -> bool:
    # Of classic ophyd, whose position is a property that raises while the device is away.
    return any(
        hasattr(type(device), each) or each in getattr(device, "__dict__", ()) for each in able
    )


def _collect(device: Any, able: tuple[str, ...], found: dict[int, Any], depth: int = 3) -> None:
    if not isinstance(getattr(device, "name", None), str) or isinstance(device, type):
        return
    if _is_able(device, able):
        found[id(device)] = device
    if depth:
        for child in device_children(device).values():
            if hasattr(child, "children") and not hasattr(child, "source"):
                _collect(child, able, found, depth - 1)


def _where(engine: Any, devices: list[Any]) -> None:
    """Print where devices are; asked on the engine's loop, between two messages of its plan."""

    async def place(device: Any) -> Any:
        try:
            if hasattr(device, "locate"):
                return await maybe_await(device.locate())
            return {"readback": device.position, "setpoint": "-"}
        except Exception as error:  # said in its line: the others are to be seen all the same
            return told_of_connection(error, device)

    async def ask() -> list[Any]:
        return [await place(device) for device in devices]

    # Nobody here can reach between the messages of an engine elsewhere; its server reads beside.
    asked: Any = (
        run_soon(engine.loop, ask()) if engine.is_elsewhere else engine.between_messages(ask)
    )
    if not wait_for(asked, _PATIENCE):
        asked.cancel()
        raise UsageError("The devices did not answer, or the plan is in a long message.")
    say(f"{'Device':<30} {'Readback':<14} {'Setpoint':<14}")
    for device, location in zip(devices, asked.result(0), strict=True):
        if isinstance(location, Exception):
            say(f"{device.name:<30} {type(location).__name__}: {location}")
            continue
        where, wanted = location["readback"], location["setpoint"]
        say(f"{device.name:<30} {where!s:<14.14} {wanted!s:<14.14}")


def _count(run: _WaitingEngine, devices: list[Any]) -> None:
    """Read devices once, and print what they say; nothing is saved."""
    if not devices:
        raise UsageError("No device is labelled as a detector. Name some: %ct scope.camera")

    def show(name: str, doc: dict[str, Any]) -> None:
        if name == "event":
            for key, value in doc["data"].items():
                shape = getattr(value, "shape", ())
                say(f"{key:<30} {f'array {shape}' if shape else value}")

    say("[This data will not be saved. Use the RunEngine to collect data.]")
    if run.engine.is_elsewhere:
        _count_there(run, devices, show)
    else:
        run(count(devices), show)


# -- an engine elsewhere, which makes its own plans, and takes no subscriber of one of them ------


def _plan_there(run: _WaitingEngine, name: str) -> Any:
    try:
        return run.engine.plans[name]
    except KeyError as error:
        raise UsageError(f"{error.args[0]} The server must offer it.") from None


def _move_there(run: _WaitingEngine, plan: str, line: str, namespace: dict[str, Any]) -> None:
    words = line.split()
    if not words or len(words) % 2:
        raise UsageError("Name devices, each with a position: %mov stage.x 3")
    call = _plan_there(run, plan)(*(_evaluated(word, namespace) for word in words))
    asked(lambda: run(call))


def _count_there(run: _WaitingEngine, devices: list[Any], show: Any) -> None:
    mark = uuid.uuid4().hex
    ours: set[str] = set()  # the uids of the run and of its descriptors; of the delivery's thread

    def choose(name: str, doc: dict[str, Any]) -> None:
        if doc.get("ct") == mark or doc.get("run_start") in ours:
            ours.add(doc["uid"])
        elif doc.get("descriptor") in ours:
            show(name, doc)

    plan = _plan_there(run, "count")
    token = run.engine.subscribe(choose)
    try:
        run(plan(devices), ct=mark)
    finally:
        run.engine.unsubscribe(token)


def _import() -> Any:
    """Import bluesky's module of magics, and undo what the import does: it makes an engine."""
    loop = bluesky.run_engine.get_bluesky_event_loop()
    from bluesky import magics

    module: Any = magics
    own = module.BlueskyMagics.RE
    if isinstance(own, bluesky.run_engine.RunEngine):
        call_soon(own.loop, own.loop.stop)
        module.BlueskyMagics.RE = None
        bluesky.run_engine.set_bluesky_event_loop(loop)
    return module.BlueskyMagics
