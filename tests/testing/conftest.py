"""The plugin is loaded by its entry point; here the fixtures of the source tree are tested."""

from freewheel.testing.plugin import RE, clock, documents, leak_check

__all__ = ["RE", "clock", "documents", "leak_check"]
