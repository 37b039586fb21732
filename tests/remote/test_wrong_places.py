"""Clients used where they cannot work: they say so, and nothing is sent."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from afar import T
from freewheel import RunEngine
from freewheel.remote import EngineServer, TokenFile


@pytest.mark.parametrize(
    "ask",
    [
        lambda remote: remote.explain(),
        lambda remote: remote.preview(remote.plans.measure()),
        lambda remote: remote.claims.hold(remote.devices.stage).__enter__(),
        lambda remote: remote.queue.every(60, remote.plans.measure),
        lambda remote: remote.background.launch(remote.plans.measure()),
    ],
    ids=["explain", "preview", "hold", "every", "launch"],
)
def test_what_waits_for_an_answer_is_refused_on_the_lines_own_thread(
    remote: Any, engine: RunEngine, ask: Callable[[Any], Any]
) -> None:
    async def there() -> Any:
        return ask(remote)

    asked = asyncio.run_coroutine_threadsafe(there(), remote.loop)
    with pytest.raises(RuntimeError, match=r"it is this thread that brings it.*was not sent"):
        asked.result(T)
    assert remote.by_hand.read(remote.devices.camera).result(T)  # whatever was sent has come
    assert not engine.claims
    assert not engine.snapshot().periodic


CHILD = """
    import os, sys, warnings
    from freewheel import ForkedProcessError
    from freewheel.remote import connect
    warnings.simplefilter("ignore")
    remote = connect(sys.argv[1], sys.argv[2])
    child = os.fork()
    if child == 0:
        asks = (
            remote.explain,
            lambda: remote(remote.plans.measure()),
            lambda: remote.by_hand.set(remote.devices.stage.x, 1),
        )
        for ask in asks:
            try:
                ask()
            except ForkedProcessError as error:
                assert "connect anew in the child" in str(error), error
            else:
                os._exit(1)
        remote.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert remote(remote.plans.measure()).result(10).exit_status == "success"
    remote.close()
"""


@pytest.mark.servers
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_refused_and_leaves_the_parents_line_alone(
    server: EngineServer, tokens: TokenFile
) -> None:
    program = [sys.executable, "-c", textwrap.dedent(CHILD), server.url, tokens.add("anna")]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=6 * T)
    assert ended.returncode == 0, ended.stderr
