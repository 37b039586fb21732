"""blueapi with this engine: start it with ``python -m freewheel.hosts.blueapi``.

It takes what the command ``blueapi`` takes, as in
``python -m freewheel.hosts.blueapi -c config.yaml serve``. The modules that blueapi loads find
their engine with `engine`, and publish its state with `publish_state`.
"""

from __future__ import annotations

from freewheel.core import MissingExtraError

from ._verbs import in_use, publish_state

try:
    from ._blueapi_worker import Context, HostedEngine
except ImportError as error:
    raise MissingExtraError("freewheel.hosts.blueapi", "blueapi") from error

__all__ = ["Context", "HostedEngine", "engine", "main", "publish_state"]

#: Return the engine of blueapi's context, which is there before its modules are loaded.
engine = in_use


def main() -> None:
    """Run blueapi's command, with this engine in the workers that ``serve`` starts."""
    from blueapi.cli import main as command

    from ._blueapi_server import install

    install()
    command()


if __name__ == "__main__":
    main()
