"""In blueapi's server process: workers with this engine, and routes to its verbs."""

import logging
import os
from multiprocessing import Pool, active_children
from multiprocessing.connection import wait
from multiprocessing.pool import Pool as PoolClass
from multiprocessing.process import BaseProcess
from threading import Event, Thread
from typing import Annotated, Any, Final

from blueapi.service import interface, main
from blueapi.service.authentication import Fedid
from blueapi.service.authorization import OpaUserClient, opa
from blueapi.service.runner import WorkerDispatcher
from fastapi import APIRouter, Body, Depends, HTTPException

from . import _blueapi_worker
from ._replace import replace

__all__ = ["Dispatcher", "install"]

_log = logging.getLogger("freewheel")

_LOOKS: Final = ("actions", "claims", "explain", "snapshot", "tasks")
_DOES: Final = ("cancel", "hold_queue", "launch", "release", "release_queue", "set", "trigger")


class Dispatcher(WorkerDispatcher):
    """blueapi's dispatcher, whose worker processes are told of this engine as they start.

    A worker that dies takes the service with it. A pool whose worker was killed while it waited
    for calls answers none any more, and blueapi would wait for that for good; what it knows of
    tasks was the worker's.
    """

    def __init__(self, config: Any = None) -> None:
        super().__init__(config, self._pool)
        self._let_go = Event()  # set before the worker is; each pool has one of its own

    def _pool(self) -> PoolClass:
        others = set(active_children())
        pool = Pool(initializer=_blueapi_worker.prepare, processes=1)
        (worker,) = set(active_children()) - others
        self._let_go = Event()
        Thread(target=_watch, args=(worker, self._let_go), daemon=True).start()
        return pool

    def stop(self) -> None:
        """End the worker."""
        self._let_go.set()
        super().stop()


def _watch(worker: BaseProcess, let_go: Event) -> None:
    wait([worker.sentinel])
    if not let_go.is_set():
        _log.critical(
            "blueapi's worker (process %s) has died, and the service ends. Start it again; what "
            "recorders and publishers of the worker had is where they keep it.",
            worker.pid,
        )
        logging.shutdown()
        os._exit(1)


def _runner() -> WorkerDispatcher:
    if main.RUNNER is None:
        raise HTTPException(503, "The worker is not there yet, or any more.")
    return main.RUNNER


Runner = Annotated[WorkerDispatcher, Depends(_runner)]
Given = Annotated[dict[str, Any] | None, Body()]


async def _may_do(
    user: Fedid, client: Annotated[OpaUserClient | None, Depends(opa)], runner: Runner
) -> None:
    """Let do what blueapi lets pause and abort: the administrator and the task's own user."""
    if client is None or await client.admin():
        return
    active = runner.run(interface.get_active_task)
    if active is None or active.is_complete or active.task.metadata.get("user") != user:
        raise HTTPException(403, "Not authorized: it is not your task that runs.")


def _call(runner: WorkerDispatcher, verb: str, given: dict[str, Any]) -> Any:
    status, value = runner.run(_blueapi_worker.call_verb, verb, given)
    if status != 200:
        raise HTTPException(status, value)
    return value


def _routes() -> APIRouter:
    """Return the routes: ``GET`` for what looks, ``POST`` with a JSON object for what does."""
    router = APIRouter(prefix="/freewheel", tags=["freewheel"])

    def look(verb: str) -> None:
        @router.get(f"/{verb}", name=verb)
        def get(runner: Runner) -> Any:
            return _call(runner, verb, {})

    def do(verb: str, *checks: Any) -> None:
        @router.post(f"/{verb}", name=verb, dependencies=checks)
        def post(runner: Runner, given: Given = None) -> Any:
            return _call(runner, verb, given or {})

    for verb in _LOOKS:
        look(verb)
    for verb in _DOES:
        do(verb, Depends(_may_do))
    do("stop_all")  # the red button, for everybody who may log in

    @router.get("/frame")
    def frame(runner: Runner, key: str | None = None, max_side: int = 512) -> Any:
        return _call(runner, "frame", {"key": key, "max_side": max_side})

    return router


def install() -> None:
    """Have blueapi start its workers with this engine, and answer to the engine's verbs.

    The routes are among blueapi's own, so that whoever must log in for those must for these.
    """
    replace(main, "WorkerDispatcher", Dispatcher)
    main.secure_router_v1.include_router(_routes())
