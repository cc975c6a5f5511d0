"""How Salesforce's fields are read: types for a TypedDict, and what a row of values becomes."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

# At the top, as every import of a mapping must be: inside a component there are no files to import from.
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints

from .outcomes import Rejection, reject

NoneType = type(None)


@dataclass(frozen=True)
class Field:
    """How one field is read: what it must be, for people; the raw types; and from the raw value to the typed one."""

    expected: str
    raw: tuple[type, ...]
    convert: Callable[[Any], Any] | None = None


_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")


def _date(text: str) -> str | None:
    return text if _DATE.fullmatch(text) else None


def utc(text: str) -> str | None:
    """A moment as `2024-02-29T08:30:00Z`, from any of Salesforce's spellings; None when it is none."""
    if text.endswith(".000+0000") and len(text) == 28:
        return text[:19] + "Z"
    if not (parts := _MOMENT.fullmatch(text)):
        return None
    seconds, fraction, zone = parts.groups()
    try:
        moment = datetime.fromisoformat(seconds).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    if zone != "Z":
        digits = zone[1:].replace(":", "")
        east = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment -= east if zone[0] == "+" else -east
    millis = (fraction or ".000")[1:].ljust(3, "0")[:3]
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + ("" if millis == "000" else f".{millis}") + "Z"


def _whole(number: int | float) -> int | None:
    return int(number) if number == int(number) else None


Id = Annotated[str, Field("text", (str,))]
"""A Salesforce id, of 15 or 18 characters."""
Text = Annotated[str, Field("text", (str,))]
"""Text: strings, pick lists, phones, addresses of pages and mail, long texts."""
Date = Annotated[str, Field("a date such as 2024-02-29", (str,), _date)]
"""A day, such as `2024-02-29`."""
DateTime = Annotated[str, Field("a date-time such as 2024-02-29T08:30:00.000+0000", (str,), utc)]
"""A moment in UTC, such as `2024-02-29T08:30:00Z`: Salesforce's `.000+0000` is read as `Z`."""
Time = Annotated[str, Field("text", (str,))]
"""A time of the day, such as `08:30:00.000Z`."""
Number = Annotated[float, Field("a number", (int, float))]
"""A number. It is a double: digits beyond the sixteenth are lost."""
Integer = Annotated[int, Field("a whole number", (int, float), _whole)]
"""A whole number; `12.0` is one."""
Choices = Annotated[list[str], Field("text", (str,), lambda text: [it for it in text.split(";") if it])]
"""The choices of a multi-select pick list, which Salesforce spells `four;six`."""
Json = Annotated[Any, Field("JSON", (str, int, float, bool, dict, list))]
"""Anything, as it is."""


class AddressFields(TypedDict):
    """A compound address, as Salesforce sends it."""

    street: str | None
    city: str | None
    state: str | None
    postalCode: str | None
    country: str | None
    stateCode: NotRequired[str | None]
    countryCode: NotRequired[str | None]
    latitude: float | None
    longitude: float | None
    geocodeAccuracy: NotRequired[str | None]


class LocationFields(TypedDict):
    """A compound location, in degrees."""

    latitude: float
    longitude: float


Address = Annotated[AddressFields, Field("an address", (dict,))]
"""A compound address."""
Location = Annotated[LocationFields, Field("a location", (dict,))]
"""A compound location."""

_PLAIN = {
    str: Field("text", (str,)),
    bool: Field("true or false", (bool,)),
    float: Field("a number", (int, float)),
    int: Field("a whole number", (int, float), _whole),
    Any: Field("JSON", (str, int, float, bool, dict, list)),
}
_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", re.ASCII)


def optional(hint: Any) -> tuple[Any, bool]:
    """A type without its None, and whether it had one."""
    origin = get_origin(hint)
    if origin is Union or origin is type(int | None):
        rest = [it for it in get_args(hint) if it is not NoneType]
        if len(rest) == 1 and len(rest) < len(get_args(hint)):
            return rest[0], True
    return hint, False


def _field(name: str, hint: Any) -> tuple[Field, bool]:
    inner, nullable = optional(hint)
    for said in getattr(inner, "__metadata__", ()):
        if isinstance(said, Field):
            return said, nullable
    if (plain := _PLAIN.get(inner)) is not None:
        return plain, nullable
    raise TypeError(
        f"the field {name} cannot be read as {inner!r}; use str, bool, int, float, Id, Date, DateTime, Time, Choices, "
        "Address, Location or Json, with `| None` where it may be empty"
    )


class Reader:
    """Reads rows into records of a TypedDict."""

    def __init__(self, record: type) -> None:
        hints = get_type_hints(record, include_extras=True)
        self.names = list(hints)
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise TypeError(
                    f"'{name}' is not a Salesforce field name; write such as FirstName, Score__c or Account.Name"
                )
        self.fields = [_field(name, hint) for name, hint in hints.items()]
        self._convert = [(i, field.convert) for i, (field, _) in enumerate(self.fields) if field.convert]
        # Shapes of rows that were found right: most rows have the shape of one before.
        self._right: set[tuple[type, ...]] = set()

    def reads(self) -> list[tuple[str, bool]]:
        """Names, and whether the mapping cannot do without them."""
        return [(name, not nullable) for name, (_, nullable) in zip(self.names, self.fields)]

    def read(self, row: list[Any]) -> dict[str, Any]:
        """The record of a row, or why it cannot be read."""
        shape = tuple(map(type, row))
        if shape not in self._right:
            self._check(row)
            self._right.add(shape)
        for i, convert in self._convert:
            raw = row[i]
            if raw is not None:
                value = convert(raw)
                if value is None:
                    raise mismatch("field.value", self.names[i], self.fields[i][0], raw)
                row[i] = value
        return dict(zip(self.names, row))

    def _check(self, row: Sequence[Any]) -> None:
        for name, (field, nullable), raw in zip(self.names, self.fields, row, strict=True):
            if raw is None:
                if not nullable:
                    raise reject("field.missing", f"{name} is empty, but the mapping needs it", name)
            elif type(raw) not in field.raw:
                raise mismatch("field.type", name, field, raw)


class AnyReader:
    """Reads every field that the sync selects, as it came."""

    def __init__(self) -> None:
        self.names: Iterable[str] = ()

    def reads(self) -> list[tuple[str, bool]]:
        """Nothing in particular."""
        return []

    def read(self, row: list[Any]) -> dict[str, Any]:
        """The record of a row."""
        return dict(zip(self.names, row))


def mismatch(code: str, name: str, field: Field, raw: Any) -> Rejection:
    """That a value is not what its field's type says."""
    kinds = {str: "text", bool: "boolean", int: "number", float: "number"}
    shown = raw if isinstance(raw, str) else repr(raw)
    short = shown[:60] + ("..." if len(shown) > 60 else "")
    kind = kinds.get(type(raw), "JSON")
    return reject(code, f'{name} must be {field.expected}, but is the {kind} "{short}"', name)
