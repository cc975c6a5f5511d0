"""What a mapping makes of a record."""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Generic, TypedDict, TypeVar, get_type_hints

F = TypeVar("F", bound=Mapping[str, Any])


class Output(TypedDict):
    """One document that a mapping makes."""

    kind: str
    key: str
    fields: Mapping[str, Any]


class Rejection(Exception):
    """Why a record was not mapped; returned or raised."""

    def __init__(self, code: str | None, message: str, field: str | None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field


def skip(reason: str) -> Rejection:
    """The record is not wanted, and that is no error."""
    return Rejection(None, reason, None)


def reject(code: str, message: str, field: str | None = None) -> Rejection:
    """The record failed: a stable code such as `email.invalid`, a message for people, and the field at fault."""
    return Rejection(code, message, field)


Outcome = Output | Sequence[Output] | Rejection | None
"""What a mapping may return of a record; None and an empty list are a skip."""


class Kind(Generic[F]):
    """One kind of output; call it to make one."""

    __slots__ = ("_values", "kind", "names")

    def __init__(self, kind: str, names: Sequence[str]) -> None:
        self.kind = kind
        self.names = list(names)
        # It gives no tuple for a single name. A kind of any fields has no order to tell them in.
        closed = len(self.names) > 1 and self.names[0] != "*"
        self._values: Callable[[Any], tuple[Any, ...]] | None = itemgetter(*self.names) if closed else None

    def __call__(self, key: str, fields: F) -> Output:
        """An output: what tells it from all others of its kind and sync, and its body."""
        return {"kind": self.kind, "key": key, "fields": fields}

    def spelled(self, made: Output) -> Mapping[str, Any]:
        """An output with the values of its fields alone, in the order in which they are declared: half the work of
        spelling the names beside them. Raises KeyError or TypeError where it is not what is declared.
        """
        fields = made["fields"]
        if self._values is None or len(fields) != len(self.names):
            return made
        return {"kind": self.kind, "key": made["key"], "fields": self._values(fields)}


def output(kind: str, fields: type[F]) -> Kind[F]:
    """Declares a kind of output and what its bodies are: a TypedDict."""
    return Kind(kind, list(get_type_hints(fields)))


def any_output(kind: str) -> Kind[Mapping[str, Any]]:
    """Declares a kind of output whose bodies are any objects."""
    return Kind(kind, ["*"])


def answer(outcome: Outcome, kinds: Mapping[str, Kind[Any]]) -> Mapping[str, Any]:
    """An outcome of these kinds, as the contract spells it."""
    if isinstance(outcome, dict):
        return {"mapped": [_spelled(outcome, kinds)]}
    if isinstance(outcome, Rejection):
        if outcome.code is None:
            return {"skipped": outcome.message}
        return {"failed": {"code": outcome.code, "message": outcome.message, "field": outcome.field}}
    if not outcome:
        return {"skipped": "the mapping made no output"}
    return {"mapped": [_spelled(made, kinds) for made in outcome]}


def _spelled(made: Any, kinds: Mapping[str, Kind[Any]]) -> Any:
    try:
        return kinds[made["kind"]].spelled(made)
    except (KeyError, TypeError):
        # It goes as it is, and the host says what is wrong with it.
        return made
