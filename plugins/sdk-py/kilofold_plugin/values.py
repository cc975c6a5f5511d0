"""What mappings have in common."""

import re
from typing import TypedDict

from .outcomes import Output, output

_STRANGE = re.compile(r"[\s\x00-\x20\x7f,;<>\"()]")


def email(address: str) -> str | None:
    """An e-mail address in lower case; None when the text is none."""
    address = address.strip()
    name, at, domain = address.partition("@")
    labels = domain.split(".")
    if not name or not at or "@" in domain or len(address) > 254 or len(labels) < 2 or _STRANGE.search(address):
        return None
    for label in labels:
        if not label or label[0] == "-" or label[-1] == "-":
            return None
    return address.lower()


def full_name(first: str | None, last: str) -> str:
    """First and last name in one."""
    first = first.strip() if first else ""
    return f"{first} {last}" if first else last


_KINDS = {"003": "person", "00Q": "person", "005": "person", "00T": "event", "00U": "event"}


def kind_of(id: str) -> str:
    """The kind that the stock mappings make of the record with this id: person, event or object."""
    return _KINDS.get(id[:3], "object")


def id18(id: str) -> str:
    """A Salesforce id in 18 characters, which stays unique where case is ignored."""
    if len(id) != 15:
        return id
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    capital = [letter.isascii() and letter.isupper() for letter in id]
    return id + "".join(letters[sum(capital[at + i] << i for i in range(5))] for at in (0, 5, 10))


class Relationship(TypedDict):
    """A relationship between the outputs of two records."""

    relation: str
    from_kind: str
    from_key: str
    to_kind: str
    to_key: str


relationships = output("relationship", Relationship)
"""The kind of the outputs that `relationship` makes."""


def relationship(relation: str, from_id: str, to_id: str) -> Output:
    """A relationship between the outputs of two records, such as of an opportunity to its `account`."""
    return relationships(
        f"{from_id}:{relation}:{to_id}",
        {
            "relation": relation,
            "from_kind": kind_of(from_id),
            "from_key": from_id,
            "to_kind": kind_of(to_id),
            "to_key": to_id,
        },
    )
