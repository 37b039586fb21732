"""The private names of bluesky's that freewheel uses, and why: all of them are in this package.

A contract test (``tests/project/test_private_names.py``) fails when bluesky no longer has one, or
has it with other parameters, and when one is used that is not in this list. What the test allows
is what the version of bluesky may be.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["PRIVATE_NAMES", "PrivateName"]


class PrivateName(NamedTuple):
    """One private name of bluesky's.

    Attributes
    ----------
    owner : str
        The module or class that has it, as ``module:class``.
    name : str
        The name.
    why : str
        What it is used for, where nothing public would do.
    parameters : tuple of str or None
        Of a function, those that it must have; ``None`` for a value.
    """

    owner: str
    name: str
    why: str
    parameters: tuple[str, ...] | None = None


_ENGINE: Final = "bluesky.run_engine:RunEngine"
_BUNDLER: Final = "bluesky.bundlers:RunBundler"
_STATUS: Final = ("self", "obj", "status_object", "group", "action")

#: All of them.
PRIVATE_NAMES: Final = (
    # What bluesky's commands ask the engine for, and freewheel's core answers.
    PrivateName(_ENGINE, "_state", "the state is the core's; devices and hosts read it"),
    PrivateName(
        _ENGINE, "_request_pause_coro", "the pause message and queueserver", ("self", "defer")
    ),
    PrivateName(_ENGINE, "_reset_checkpoint_state_meth", "the replay is the plan's", ("self",)),
    PrivateName(_ENGINE, "_clear_call_cache", "reset() clears with it", ("self",)),
    PrivateName(_ENGINE, "_add_status_to_group", "statuses are counted down", _STATUS),
    PrivateName(
        _ENGINE,
        "_call_waiting_hook",
        "progress follows what is waited for",
        ("self", "args", "kwargs"),
    ),
    # What bluesky's commands keep on the engine, and the core looks at.
    PrivateName(_ENGINE, "_loop", "the constructor is given a stand-in"),
    PrivateName(_ENGINE, "_th", "as _loop; hosts look at it"),
    PrivateName(_ENGINE, "_during_task", "what a blocking engine waits with; hosts replace it"),
    PrivateName(_ENGINE, "_command_registry", "commands are made when they are asked for"),
    PrivateName(_ENGINE, "_UNCACHEABLE_COMMANDS", "what a rewind does not repeat"),
    PrivateName(_ENGINE, "_rewindable_flag", "asked for each message"),
    PrivateName(_ENGINE, "_run_bundlers", "the open runs: paused, rewound, closed"),
    PrivateName(_ENGINE, "_run_start_uids", "of the plan's runs, for the result"),
    PrivateName(_ENGINE, "_metadata_per_call", "for the plan's runs"),
    PrivateName(_ENGINE, "_temp_callback_ids", "subscriptions that end with the plan"),
    PrivateName(_ENGINE, "_plan", "open_run looks at its type and name"),
    PrivateName(_ENGINE, "_task", "who holds an engine may cancel the plan's task"),
    PrivateName(_ENGINE, "_objs_seen", "devices that are told of pauses"),
    PrivateName(_ENGINE, "_movable_objs_touched", "devices that are stopped"),
    PrivateName(_ENGINE, "_staged", "devices that are unstaged"),
    PrivateName(_ENGINE, "_groups", "what is waited for"),
    PrivateName(_ENGINE, "_status_objs", "the statuses of a group, for the waiting hook"),
    PrivateName(_ENGINE, "_exit_status", "tracing's last word on a run"),
    PrivateName(_ENGINE, "_reason", "as _exit_status"),
    PrivateName(
        _ENGINE, "_destroy_open_run_tracing_spans", "tracing, when runs are dropped", ("self",)
    ),
    PrivateName(
        "bluesky.run_engine:",
        "_ensure_event_loop_running",
        "which loop runs on which thread",
        ("loop",),
    ),
    # What a lean event leaves out is put where bluesky's bundler keeps it.
    PrivateName(
        _BUNDLER,
        "_prepare_stream",
        "events of a new stream are composed lean",
        ("self", "desc_key", "objs_dks"),
    ),
    PrivateName(_BUNDLER, "_compose_descriptor", "descriptors are validated once for each form"),
    PrivateName(_BUNDLER, "_asset_docs_cache", "documents of devices within the event"),
    PrivateName(_BUNDLER, "_bundle_name", "the stream of the open event"),
    PrivateName(_BUNDLER, "_current_stream_cache", "what is known of that stream"),
    PrivateName(_BUNDLER, "_saved_stream_cache", "what is known of each stream"),
    PrivateName(_BUNDLER, "_descriptors", "whether the stream's descriptor is still the same"),
    PrivateName(_BUNDLER, "_descriptor_objs", "for which devices it was made"),
    PrivateName(_BUNDLER, "_objs_read", "the devices of the open event"),
    PrivateName(_BUNDLER, "_declared_stream_names", "what is collected together after an abort"),
    PrivateName(_BUNDLER, "_uncollected", "which flyers are collected from after an abort"),
    PrivateName(_BUNDLER, "_sequence_counters", "where a checkpoint stands"),
    PrivateName(_BUNDLER, "_sequence_counters_copy", "as _sequence_counters"),
    PrivateName(_BUNDLER, "_strict_pre_declare", "whether a stream must be declared first"),
    # Elsewhere.
    PrivateName(
        "bluesky.utils:CallbackRegistry",
        "_remove_proxy",
        "a subscriber that was collected",
        ("self", "proxy"),
    ),
    PrivateName(
        "bluesky.utils:CallbackRegistry", "_func_cid_map", "subscribers of a plan that is parked"
    ),
    PrivateName("bluesky.utils:Plan", "_stack", "where a plan was made, remembered cheaply"),
    PrivateName("bluesky.utils:Plan", "_iter", "the generator behind bluesky's @plan"),
)
