"""Write a kilofold mapping in Python: what is read, what is made, and one function.

    class Contact(TypedDict):
        Id: Id
        FirstName: str | None
        Email: str | None

    class Person(TypedDict):
        first_name: str | None
        email: str

    person = output("person", Person)

    @mapper(objects=["Contact"], outputs=[person])
    def plugin(contact: Contact) -> Outcome:
        if contact["Email"] is None:
            return skip("no e-mail")
        return person(contact["Id"], {"first_name": contact["FirstName"], "email": contact["Email"].lower()})
"""

from .fields import Address, Choices, Date, DateTime, Field, Id, Integer, Json, Location, Number, Text, Time, utc
from .host import connect, log, lookup
from .plugin import Call, Context, Plugin, mapper
from .outcomes import Kind, Outcome, Output, Rejection, any_output, output, reject, skip
from .settings import Secret, Setting
from .values import email, full_name, id18, kind_of, relationship, relationships

__all__ = [
    "Address",
    "Call",
    "Choices",
    "Context",
    "Date",
    "DateTime",
    "Field",
    "Id",
    "Integer",
    "Json",
    "Kind",
    "Location",
    "Number",
    "Outcome",
    "Output",
    "Plugin",
    "Rejection",
    "Secret",
    "Setting",
    "Text",
    "Time",
    "any_output",
    "connect",
    "email",
    "full_name",
    "id18",
    "kind_of",
    "log",
    "lookup",
    "mapper",
    "output",
    "reject",
    "relationship",
    "relationships",
    "skip",
    "utc",
]
