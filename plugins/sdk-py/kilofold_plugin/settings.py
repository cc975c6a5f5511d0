"""What the user sets per sync: a TypedDict whose fields say more with `Annotated`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from .fields import optional


@dataclass(frozen=True)
class Setting:
    """What is said of a setting: `Annotated[int, Setting("How many.", default=2)]`."""

    help: str = ""
    default: Any = None
    title: str | None = None


@dataclass(frozen=True)
class _Hidden:
    pass


Secret = Annotated[str, _Hidden()]
"""A text that is never shown."""


@dataclass(frozen=True)
class Declared:
    """One setting, as the contract has it."""

    name: str
    title: str
    help: str
    kind: str
    choices: list[str]
    required: bool
    default: Any


def declared(settings: type | None) -> list[Declared]:
    """The settings of a TypedDict."""
    hints = get_type_hints(settings, include_extras=True) if settings else {}
    return [_declared(name, hint) for name, hint in hints.items()]


def _declared(name: str, hint: Any) -> Declared:
    outer = getattr(hint, "__metadata__", ())
    inner, nullable = optional(hint.__origin__ if outer else hint)
    said = (*outer, *getattr(inner, "__metadata__", ()))
    plain = getattr(inner, "__origin__", inner) if hasattr(inner, "__metadata__") else inner
    setting = next((it for it in said if isinstance(it, Setting)), Setting())
    choices: list[str] = []
    if any(isinstance(it, _Hidden) for it in said):
        kind = "secret"
    elif get_origin(plain) is Literal:
        kind, choices = "choice", [str(it) for it in get_args(plain)]
    else:
        kinds = {str: "text", int: "integer", float: "number", bool: "boolean"}
        kind = kinds.get(plain, "")
    if not kind:
        raise TypeError(f"the setting {name} cannot be a {plain!r}; use str, int, float, bool, Literal or Secret")
    if setting.default is not None and choices and setting.default not in choices:
        raise TypeError(f"the default {setting.default!r} of the setting {name} is not one of {choices}")
    title = setting.title or name.replace("_", " ").capitalize()
    required = setting.default is None and not nullable
    return Declared(name, title, setting.help, kind, choices, required, setting.default)


def spelled(default: Any) -> str | None:
    """A default as text."""
    if isinstance(default, bool):
        return str(default).lower()
    return None if default is None else str(default)
