"""In blueapi's worker process: this engine in its context, and the verbs that clients call."""

# No annotations as texts here: blueapi checks what is returned by them.

import inspect
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from multiprocessing import parent_process
from threading import Thread
from typing import Any, Final

from blueapi.config import ApplicationConfig
from blueapi.core import BlueskyContext
from blueapi.service import interface
from blueapi.worker import TaskWorker
from blueapi.worker.task import Task

from freewheel.background import OnConflict
from freewheel.core import PlanCall, PlanStatus
from freewheel.core._errors import with_text
from freewheel.engine import RunEngine
from freewheel.engine._endings import ended

from . import _verbs
from ._names import device_named
from ._replace import replace

__all__ = ["Context", "HostedEngine", "Worker", "call_verb", "prepare"]

_log = logging.getLogger("freewheel")


class HostedEngine(RunEngine):
    """An engine whose ``RE(plan)`` waits, for the plan's whole life, and no other call does.

    blueapi takes the end of ``RE(plan)`` for the end of the task, and makes the other calls where
    its whole service waits for them. With bluesky's engine a pause ends the task, and the service
    does not answer while a plan that it has resumed runs.
    """

    def __call__(self, plan: Any, subs: Any = None, /, **metadata_kw: Any) -> Any:
        """Run a plan, wait for its end, over pauses, and return its result.

        Raises
        ------
        RunEngineInterrupted
            If the plan is stopped, aborted or halted.
        RuntimeError
            If another plan runs or is paused; and for a plan that fails with what is no
            ``Exception``, which would end blueapi's thread.
        """
        self._check_ready()
        self._check_call(metadata_kw)
        future = self._foreground.submit(plan, subs, metadata_kw, queue=False)
        try:
            result = future.outcome.result()
        except Exception as error:
            if (told := with_text(error)) is not error:
                raise told from error  # blueapi would have no end of the task
            raise
        except BaseException as error:
            raise RuntimeError(f"The plan {future.plan_name!r} raised {error!r}.") from error
        if result.interrupted:
            halted = future.status is PlanStatus.HALTED
            raise ended(future.plan_name, result, halted=halted)
        return result


@dataclass
class Context(BlueskyContext):
    """blueapi's context, with an engine of ours, which is there before the modules are loaded."""

    configuration: InitVar[Any] = None
    run_engine: HostedEngine = field(default_factory=HostedEngine)

    def __post_init__(self, configuration: Any) -> None:
        """Have the verbs work on it."""
        global _context
        _context = self
        _verbs.use(self.run_engine)
        super().__post_init__(configuration)


#: The context of this process, which has one worker; written before that is made.
_context: Context
_ended = False  # only ever set, when that worker is stopped


def _only_context(configuration: ApplicationConfig) -> Context:
    """Make the context, until the worker has ended.

    blueapi asks for another one if a call comes in after that, and a process with a second worker
    would never end.
    """
    if _ended:
        raise RuntimeError(
            "The worker of this environment has ended. Ask again when it is reloaded."
        )
    return Context(configuration)


class Worker(TaskWorker):
    """blueapi's worker, which leaves no plan behind, and no process when its server has died."""

    def start(self) -> None:
        """Start the worker, which ends with the server."""
        global _worker
        super().start()
        _worker = self

    def stop(self) -> None:
        """End the plan, with its clean-up, and then the worker."""
        global _ended
        _ended = True
        try:
            self._ctx.run_engine.close()
        except Exception:
            _log.exception("What ran could not be ended. The worker is stopped all the same.")
        super().stop()


#: The worker of this process, once it was started.
_worker: Worker | None = None


def _end_with_server() -> None:
    server = parent_process()
    if server is None:
        return
    server.join()
    if _worker is None:
        os._exit(1)  # in the place of one that was killed, whose lock it waits for
    _worker.stop()


def prepare() -> None:
    """Have blueapi build its context and its worker from the classes above, in this process."""
    Thread(target=_end_with_server, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as blueapi does: the server ends its worker
    replace(interface, "BlueskyContext", _only_context)
    replace(interface, "TaskWorker", Worker)


# -- what clients call ---------------------------------------------------------------------------


def launch(
    plan: str,
    params: dict[str, Any] | None = None,
    name: str | None = None,
    on_conflict: OnConflict = "cancel",
) -> str:
    """Run a plan in the background, checked as blueapi checks a task; return the task's name."""
    function = _context.plan_functions.get(plan)
    if function is None:
        names = ", ".join(sorted(_context.plan_functions)) or "none"
        raise KeyError(f"There is no plan {plan!r}. There are: {names}.")
    given = Task(name=plan, params=params or {}).prepare_params(_context)
    return _verbs.launch(PlanCall(function, (), given), name, on_conflict)


def set_by_hand(device: str, value: Any, between: bool = False) -> None:
    """Set a device by hand and wait for it; refused while a plan holds it."""
    found = device_named(_context.devices, device)
    _verbs.in_use().by_hand.set(found, value, between=between).result()


_VERBS: Final[dict[str, Callable[..., Any]]] = {
    "actions": _verbs.fw_actions,
    "cancel": _verbs.fw_cancel,
    "claims": _verbs.fw_claims,
    "explain": _verbs.fw_explain,
    "frame": _verbs.fw_frame,
    "hold_queue": _verbs.fw_hold_queue,
    "launch": launch,
    "release": _verbs.fw_release,
    "release_queue": _verbs.fw_release_queue,
    "set": set_by_hand,
    "snapshot": _verbs.fw_snapshot,
    "stop_all": _verbs.fw_stop_all,
    "tasks": _verbs.fw_tasks,
    "trigger": _verbs.fw_trigger,
}


def call_verb(name: str, given: dict[str, Any]) -> tuple[int, Any]:
    """Call a verb; return the HTTP status, and the value or what went wrong.

    Errors are told as texts: not every one of them survives the way to the server's process.
    """
    verb = _VERBS[name]
    taken = inspect.signature(verb)
    try:
        taken.bind(**given)
    except TypeError as error:
        return 422, f"{name} takes {', '.join(taken.parameters) or 'nothing'}: {error}"
    try:
        return 200, verb(**given)
    except KeyError as error:
        return 404, error.args[0]
    except (TypeError, ValueError) as error:
        return 422, str(error)
    except Exception as error:
        return 409, f"{type(error).__name__}: {error}"
