"""Does what its records say, so that the host's tests can ask for it."""

import time
from datetime import datetime, timezone
from typing import Annotated, Any, Literal, TypedDict

from kilofold_plugin import (
    Address,
    Call,
    Choices,
    DateTime,
    Id,
    Outcome,
    Output,
    Secret,
    Setting,
    log,
    lookup,
    mapper,
    output,
    reject,
    relationship,
    relationships,
    skip,
)


class Line(TypedDict):
    Id: Id
    Kind__c: str
    Tags__c: Choices | None
    Size__c: int | None
    At__c: DateTime | None
    Where__c: Address | None


class Made(TypedDict):
    tags: list[str] | None
    size: int | None
    at: str | None
    city: str | None
    home: str
    year: int
    known: Any


class Settings(TypedDict):
    home: Annotated[Literal["eu", "us"], Setting("Where it is at home.", default="eu")]
    least: Annotated[int, Setting(default=2)]
    token: Secret | None


line = output("line", Made)


def check(settings: Settings) -> dict[str, str]:
    return {"least": "must not be below zero"} if settings["least"] < 0 else {}


@mapper(objects=["Line__c"], outputs=[line, relationships], settings=Settings, check=check)
def plugin(it: Line, call: Call[Settings]) -> Outcome:
    match it["Kind__c"]:
        case "skip":
            return skip("told to")
        case "fail":
            return reject("told.to", "m", "Kind__c")
        case "throw reject":
            raise reject("told.too", "thrown")
        case "throw":
            raise RuntimeError("told to")
        case "clock":
            return line(it["Id"], {"year": time.time()})  # type: ignore
        case "partly":
            return line(it["Id"], {"home": call.settings["home"], "tags": None})  # type: ignore
        case "undeclared":
            return line(it["Id"], {**make(it, call)["fields"], "colour": "red"})  # type: ignore
        case "renamed":
            fields = dict(make(it, call)["fields"])
            fields["homes"] = fields.pop("home")
            return line(it["Id"], fields)  # type: ignore
        case "none":
            return None
        case "unwritable":
            return line(it["Id"], {"tags": {1, 2}})  # type: ignore
        case "two":
            return [make(it, call), relationship("account", "003D000000QYVl5IAH", "001D000000IRFmaIAH")]
        case "log":
            log.warn(f"{it['Id']} in {call.context.sync}, at least {call.settings['least']}")
    return make(it, call)


def make(it: Line, call: Call[Settings]) -> Output:
    [known] = lookup("line", [it["Id"]])
    return line(
        it["Id"],
        {
            "tags": it["Tags__c"],
            "size": it["Size__c"],
            "at": it["At__c"],
            "city": it["Where__c"]["city"] if it["Where__c"] else None,
            "home": call.settings["home"],
            "year": datetime.fromtimestamp(call.context.read_at / 1000, timezone.utc).year,
            "known": known,
        },
    )
