"""A pytest plugin: ophyd's own tests of its base status, run on freewheel's.

Given to a pytest of its own with ``-p``, before the tests of ophyd's wheel are imported. They find
our `Status` under the name of the class that they test, and our errors under the names of theirs.
"""

from __future__ import annotations

import ophyd.status
import ophyd.utils
import pytest

import freewheel.core

STATUS_TESTS = "test_status.py"

OTHER_CLASS = "is about another class of ophyd's, which keeps its own base"
DEPRECATED = "is about what ophyd itself deprecates, and no part of the interface kept here"
NOT_RUN = {
    "test_subscription_status": OTHER_CLASS,
    "test_subscription_status_does_not_try_and_stop_ro_device": OTHER_CLASS,
    "test_given_stability_time_greater_than_timeout_then_exception_on_initialisation": OTHER_CLASS,
    "test_given_callback_stays_stable_then_stable_status_eventual_returns_done": OTHER_CLASS,
    "test_given_callback_fluctuates_and_stabalises_then_stable_status_eventual_returns_done": (
        OTHER_CLASS
    ),
    "test_notify_watchers": OTHER_CLASS,
    "test_device_status_failure": OTHER_CLASS,
    "test_status_legacy_finished_cb": f"{DEPRECATED}: the property finished_cb",
    "test_direct_done_setting": f"{DEPRECATED}: assigning to done",
    "test_nonsensical_init": f"{DEPRECATED}: the arguments done and success",
    "test_deprecated_init": f"{DEPRECATED}: the arguments done and success",
    "test_old_signature": f"{DEPRECATED}: callbacks without an argument",
    "test_old_signature_on_finished_status": f"{DEPRECATED}: callbacks without an argument",
}


def pytest_configure() -> None:
    """Put our class and errors where the tests import ophyd's from."""
    ophyd.status.StatusBase = freewheel.core.Status
    for name in ("InvalidState", "StatusTimeoutError", "WaitTimeoutError", "UnknownStatusFailure"):
        setattr(ophyd.utils, name, getattr(freewheel.core, name))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not about the base class."""
    for item in items:
        assert item.module.StatusBase is freewheel.core.Status
    left_out = [item for item in items if item.name in NOT_RUN]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item.name not in NOT_RUN]
