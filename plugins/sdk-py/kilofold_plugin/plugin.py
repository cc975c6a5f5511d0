"""Makes a function a plugin."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints, is_typeddict

from .fields import AnyReader, Reader
from .host import host
from .outcomes import Kind, Outcome, Rejection, answer
from .settings import Declared, declared

S = TypeVar("S")

PROJECT: dict[str, str] = {}
"""Name, version and description of the project; the build sets them, from pyproject.toml."""


@dataclass(frozen=True)
class Context:
    """Where a batch comes from and when it was read."""

    object: str
    """API name of the object, such as `Contact`."""
    sync: str
    """Name of the sync that the batch belongs to."""
    run: str
    """The run's identity."""
    batch: int
    """Counts the batches of the run, from 0."""
    read_at: int
    """When the page was read, in milliseconds since 1970: the only clock there is."""
    fields: list[str]
    """API names of the fields that come with the batch, in order."""


@dataclass(frozen=True)
class Call(Generic[S]):
    """What a mapping is given beside the record."""

    settings: S
    context: Context


class Refused(Exception):
    """Settings that are not accepted: a message by name."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass
class Plugin:
    """A mapping, ready to be called."""

    name: str | None
    version: str | None
    summary: str | None
    objects: list[str]
    outputs: Sequence[Kind[Any]]
    settings: list[Declared]
    maps_deletions: bool
    reader: Reader | AnyReader
    whole: bool
    function: Callable[..., Any]
    check: Callable[[Any], dict[str, str]] | None
    _given: Any = None

    def __post_init__(self) -> None:
        self._two = len(inspect.signature(self.function).parameters) > 1
        self._kinds = {kind.kind: kind for kind in self.outputs}

    def __call__(self, *args: Any) -> Any:
        """The function itself."""
        return self.function(*args)

    def configure(self, text: str) -> None:
        """Takes the user's settings, or raises Refused."""
        given = json.loads(text)
        for setting in self.settings:
            if given.get(setting.name) is None:
                given[setting.name] = setting.default
        problems = self.check(given) if self.check else {}
        if problems:
            raise Refused(problems)
        self._given = given

    def map_batch(self, context: Context, batch: str) -> str:
        """Maps a batch: JSON in, JSON out."""
        if self._given is None:
            raise RuntimeError("the host maps before it configured the plugin")
        if isinstance(self.reader, AnyReader):
            self.reader.names = context.fields
        rest = (Call(self._given, context),) if self._two else ()
        rows = json.loads(batch)
        outcomes = self._all(rows, rest) if self.whole else self._each(rows, rest)
        try:
            return _dump(outcomes)
        except (TypeError, ValueError):
            for index, outcome in enumerate(outcomes):
                _guarded(index, lambda: _dump(outcome))
            raise

    def _each(self, rows: list[Any], rest: tuple[Any, ...]) -> list[Any]:
        read, function, kinds, outcomes = self.reader.read, self.function, self._kinds, []
        for index, row in enumerate(rows):
            try:
                outcomes.append(answer(function(read(row), *rest), kinds))
            except Rejection as rejection:
                outcomes.append(answer(rejection, kinds))
            except Exception as error:
                host().panicked(index, _words(error))
                raise
        return outcomes

    def _all(self, rows: list[Any], rest: tuple[Any, ...]) -> list[Any]:
        records: list[Any] = []
        unread: dict[int, Rejection] = {}
        for index, row in enumerate(rows):
            try:
                records.append(self.reader.read(row))
            except Rejection as rejection:
                unread[index] = rejection
        made = _guarded(None, lambda: list(self.function(records, *rest)))
        if len(made) != len(records):
            raise ValueError(f"the mapping returned {len(made)} outcomes for {len(records)} records")
        answers = iter(made)
        return [answer(unread[i] if i in unread else next(answers), self._kinds) for i in range(len(rows))]


_dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def _guarded(index: int | None, work: Callable[[], Any]) -> Any:
    """What goes wrong is told to the host with its place."""
    try:
        return work()
    except Exception as error:
        host().panicked(index, _words(error))
        raise


def _words(error: Exception) -> str:
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place = f" at {code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {error}{place}"


def mapper(
    *,
    outputs: Sequence[Kind[Any]],
    objects: Sequence[str] = (),
    settings: type | None = None,
    check: Callable[[Any], dict[str, str]] | None = None,
    maps_deletions: bool = False,
    name: str | None = None,
    version: str | None = None,
    summary: str | None = None,
) -> Callable[[Callable[..., Any]], Plugin]:
    """Makes a function a plugin.

    The function takes a record (a TypedDict of the fields that are read, or a `dict` for any object) or a list of them,
    and, if it wants, a `Call`. It returns an output, a list of outputs, a skip or a rejection; for a list of records a
    list of as many, in order.

    `outputs`: the kinds that it makes. `objects`: API names of the objects that it can map; none: any. `settings`: a
    TypedDict. `check`: what else is wrong with settings, a message by name. `maps_deletions`: deleted records come too
    (read `IsDeleted`); otherwise the host retracts their outputs. Name, version and summary are by default those of
    pyproject.toml.
    """

    def make(function: Callable[..., Any]) -> Plugin:
        parameters = list(inspect.signature(function).parameters)
        hint = get_type_hints(function).get(parameters[0]) if parameters else None
        whole = get_origin(hint) is list
        record = get_args(hint)[0] if whole else hint
        reader: Reader | AnyReader
        if is_typeddict(record):
            reader = Reader(record)
        elif (get_origin(record) or record) is dict:
            reader = AnyReader()
        else:
            raise TypeError(
                f"{function.__name__} must say what it reads: annotate its first parameter with a TypedDict of the "
                "fields, with `dict[str, Any]` for any object, or with a list of either for the whole batch"
            )
        return Plugin(
            name,
            version,
            summary,
            list(objects),
            outputs,
            declared(settings),
            maps_deletions,
            reader,
            whole,
            function,
            check,
        )

    return make


__all__ = ["Call", "Context", "Outcome", "Plugin", "Refused", "mapper"]
