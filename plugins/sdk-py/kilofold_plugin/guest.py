"""The component's side: from the contract's calls to the mapping. Imported only inside a component."""

import gc
import random
import time
from collections.abc import Callable
from typing import NoReturn

from componentize_py_types import Err
from mapping import plugin
from wit_world import exports
from wit_world.imports import host, types

from .host import connect
from .plugin import PROJECT, Context, Refused
from .settings import Declared, spelled


def _none(what: str, instead: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise RuntimeError(f"a mapping has no {what}; {instead}")

    return refuse


# An instance lives for one batch, of which little is garbage in cycles: to look for it as often as a long program does
# costs a twentieth of a batch's time.
gc.set_threshold(50_000)

# What a component does not have says so; the engine's own words would be of an unreachable instruction.
time.time = time.time_ns = _none("clock", "take call.context.read_at")
for _name in ("random", "randint", "choice", "choices", "shuffle", "sample", "uniform", "randrange"):
    setattr(random, _name, _none("randomness", "make it from the record, so that a batch can be mapped again"))

_LEVELS = {level.name.lower(): level for level in host.Level}
_KINDS = {
    "text": types.SettingKind_Text,
    "integer": types.SettingKind_Integer,
    "number": types.SettingKind_Number,
    "boolean": types.SettingKind_Boolean,
    "secret": types.SettingKind_Secret,
}


class _Host:
    def log(self, level: str, message: str) -> None:
        host.log(_LEVELS[level], message)

    def lookup(self, kind: str, keys: list[str]) -> list[str | None]:
        return host.lookup(kind, keys)

    def panicked(self, index: int | None, message: str) -> None:
        host.panicked(index, message)


connect(_Host())


def _setting(it: Declared) -> types.Setting:
    kind = types.SettingKind_Choice(it.choices) if it.kind == "choice" else _KINDS[it.kind]()
    return types.Setting(it.name, it.title, it.help, kind, it.required, spelled(it.default))


class About(exports.About):
    """What the plugin is, reads and makes."""

    def describe(self) -> types.Description:
        return types.Description(
            plugin.name or PROJECT["name"],
            plugin.version or PROJECT["version"],
            plugin.summary or PROJECT["description"],
            plugin.objects,
            [types.Field(name, required) for name, required in plugin.reader.reads()],
            [types.OutputKind(kind.kind, kind.names) for kind in plugin.outputs],
            [_setting(it) for it in plugin.settings],
            plugin.maps_deletions,
        )

    def configure(self, settings: str) -> None:
        try:
            plugin.configure(settings)
        except Refused as refused:
            raise Err([types.Problem(name, message) for name, message in refused.problems.items()]) from None


class Json(exports.Json):
    """Maps a batch."""

    def map_batch(self, context: types.Context, batch: str) -> str:
        about = (context.object, context.sync, context.run, context.batch, context.read_at, context.fields)
        return plugin.map_batch(Context(*about), batch)
