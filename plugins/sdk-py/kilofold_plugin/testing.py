"""Runs a mapping natively, under unittest: records as Salesforce sends them in, outcomes out."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .host import connect
from .plugin import Context, Plugin


class Host:
    """A host whose stored outputs are given, and whose log is kept."""

    def __init__(self, stored: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.stored = stored or {}
        self.logs: list[tuple[str, str]] = []

    def log(self, level: str, message: str) -> None:
        """Keeps a line."""
        self.logs.append((level, message))

    def lookup(self, kind: str, keys: list[str]) -> list[str | None]:
        """The given outputs, as JSON."""
        known = self.stored.get(kind, {})
        return [json.dumps(known[key]) if key in known else None for key in keys]

    def panicked(self, index: int | None, message: str) -> None:
        """The test sees the exception itself."""


def run(
    plugin: Plugin,
    records: Sequence[Mapping[str, Any]],
    *,
    settings: Mapping[str, Any] | None = None,
    host: Host | None = None,
    object: str | None = None,
    read_at: int = 1_767_225_600_000,
) -> list[dict[str, Any]]:
    """Maps records; one outcome a record, in order, as the contract spells it. A field that a record has not is None.

    `read_at` is in milliseconds since 1970; by default 2026-01-01T00:00:00Z.
    """
    connect(host or Host())
    plugin.configure(json.dumps(dict(settings or {})))
    reads = [name for name, _ in plugin.reader.reads()]
    fields = reads or [name for name in dict.fromkeys(k for it in records for k in it) if name != "attributes"]
    rows = [[_value_at(record, field) for field in fields] for record in records]
    about = (object or (plugin.objects or ["Record__c"])[0], "test", "test", 0, read_at, fields)
    outcomes = json.loads(plugin.map_batch(Context(*about), json.dumps(rows)))
    kinds = {kind.kind: kind.names for kind in plugin.outputs}
    for made in (made for outcome in outcomes for made in outcome.get("mapped", ())):
        declared = kinds.get(made["kind"])
        if declared is not None and isinstance(made["fields"], list):
            # Values alone, in the order of the declared fields.
            made["fields"] = dict(zip(declared, made["fields"], strict=True))
        _check(made, declared)
    return outcomes


def body(outcome: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The fields of the only output of one kind."""
    made = [output for output in outcome.get("mapped", ()) if output["kind"] == kind]
    assert len(made) == 1, f"there are {len(made)} outputs of kind '{kind}' in {outcome}"
    return made[0]["fields"]


def _value_at(record: Mapping[str, Any], path: str) -> Any:
    value: Any = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _check(made: Mapping[str, Any], declared: list[str] | None) -> None:
    """What the host checks of an output."""
    kind = made["kind"]
    assert declared is not None, f"an output is of the kind '{kind}', which is not declared"
    assert isinstance(made["key"], str) and made["key"], f"an output '{kind}' has an empty key"
    unknown = [name for name in made["fields"] if declared != ["*"] and name not in declared]
    assert not unknown, f"{unknown} are not declared fields of '{kind}'"
