"""All that a plugin can reach."""

import json
from collections.abc import Sequence
from typing import Any, Protocol


class Host(Protocol):
    """The host, as `interface host` of the contract has it."""

    def log(self, level: str, message: str) -> None: ...
    def lookup(self, kind: str, keys: list[str]) -> list[str | None]: ...
    def panicked(self, index: int | None, message: str) -> None: ...


_host: Host | None = None


def connect(host: Host) -> None:
    """Connects the host; the build does it, and tests do."""
    global _host
    _host = host


def host() -> Host:
    """The host."""
    if _host is None:
        raise RuntimeError("there is no host: call the mapping through kilofold, or `run` of kilofold_plugin.testing")
    return _host


class log:
    """Writes to the run's log, within bounds."""

    @staticmethod
    def debug(message: str) -> None:
        """For developers."""
        host().log("debug", message)

    @staticmethod
    def info(message: str) -> None:
        """What a user may want to know."""
        host().log("info", message)

    @staticmethod
    def warn(message: str) -> None:
        """What a user should look at."""
        host().log("warn", message)

    @staticmethod
    def error(message: str) -> None:
        """What went wrong."""
        host().log("error", message)


def lookup(kind: str, keys: Sequence[str]) -> list[dict[str, Any] | None]:
    """Bodies of outputs already stored, for joining across objects; None where there is no such output.

    One call for many keys is much quicker than many calls, so mappings that join take the whole batch.
    """
    return [None if body is None else json.loads(body) for body in host().lookup(kind, list(keys))]
