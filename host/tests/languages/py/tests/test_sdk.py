import unittest
from typing import Any, TypedDict

from kilofold_plugin import Id, any_output, email, full_name, id18, kind_of, mapper, output, skip, utc
from kilofold_plugin.plugin import Refused
from kilofold_plugin.testing import Host, body, run

from mapping import plugin


def line(kind: str, **more: Any) -> dict[str, Any]:
    return {"Id": "a01D000000IRFma", "Kind__c": kind, **more}


class Thing(TypedDict):
    among: str


class Named(TypedDict):
    Id: Id
    Name: str


class Sdk(unittest.TestCase):
    def test_makes_skips_fails_and_joins(self) -> None:
        first = line(
            "one",
            Tags__c="a;ü",
            Size__c=12.0,
            At__c="2024-02-29T08:30:00.000+0000",
            Where__c={"city": "Paris"},
        )
        records = [first, *map(line, ["skip", "fail", "throw reject", "none", "two", "log"])]
        host = Host({"line": {"a01D000000IRFma": {"n": 1}}})
        made = run(plugin, records, settings={"home": "us"}, host=host)
        expected = {
            "tags": ["a", "ü"],
            "size": 12,
            "at": "2024-02-29T08:30:00Z",
            "city": "Paris",
            "home": "us",
            "year": 2026,
            "known": {"n": 1},
        }
        self.assertEqual(body(made[0], "line"), expected)
        self.assertEqual(made[1], {"skipped": "told to"})
        self.assertEqual(made[2], {"failed": {"code": "told.to", "message": "m", "field": "Kind__c"}})
        self.assertEqual(made[3], {"failed": {"code": "told.too", "message": "thrown", "field": None}})
        self.assertEqual(made[4], {"skipped": "the mapping made no output"})
        self.assertEqual(body(made[5], "relationship")["from_kind"], "person")
        self.assertEqual(host.logs, [("warn", "a01D000000IRFma in test, at least 2")])

    def test_names_the_field_that_cannot_be_read(self) -> None:
        wrong = [
            {"Id": "1"},
            line("x", Size__c=1.5),
            line("x", Size__c="1"),
            line("x", At__c="yesterday"),
            line("x", Where__c="here"),
        ]
        told = [f"{it['failed']['code']} {it['failed']['message']}" for it in run(plugin, wrong)]
        at = "At__c must be a date-time such as 2024-02-29T08:30:00.000+0000"
        self.assertEqual(
            told,
            [
                "field.missing Kind__c is empty, but the mapping needs it",
                'field.value Size__c must be a whole number, but is the number "1.5"',
                'field.type Size__c must be a whole number, but is the text "1"',
                f'field.value {at}, but is the text "yesterday"',
                'field.type Where__c must be an address, but is the text "here"',
            ],
        )

    def test_an_error_is_the_test_s_own(self) -> None:
        with self.assertRaisesRegex(RuntimeError, "told to"):
            run(plugin, [line("throw")])
        with self.assertRaises(TypeError):
            run(plugin, [line("x"), line("unwritable")])

    def test_settings_are_checked(self) -> None:
        with self.assertRaises(Refused):
            run(plugin, [], settings={"least": -1})
        kinds = [(it.name, it.kind, it.required, it.default, it.choices) for it in plugin.settings]
        expected = [
            ("home", "choice", False, "eu", ["eu", "us"]),
            ("least", "integer", False, 2, []),
            ("token", "secret", False, None, []),
        ]
        self.assertEqual(kinds, expected)

    def test_takes_a_whole_batch(self) -> None:
        thing = output("thing", Thing)

        @mapper(outputs=[thing])
        def whole(records: list[Named]) -> list[Any]:
            later = [thing(it["Id"], {"among": str(len(records))}) for it in records[1:]]
            return [skip("first"), *later]

        made = run(whole, [{"Id": "1", "Name": "a"}, {"Id": "2"}, {"Id": "3", "Name": "c"}])
        self.assertEqual(made[0], {"skipped": "first"})
        self.assertEqual(made[1]["failed"]["code"], "field.missing")
        self.assertEqual(body(made[2], "thing"), {"among": "2"})

    def test_takes_any_object(self) -> None:
        kind = any_output("any")

        @mapper(outputs=[kind])
        def plugin(it: dict[str, Any]) -> Any:
            return kind(it["Id"], it)

        [made] = run(plugin, [{"attributes": {}, "Id": "1", "N__c": 1.5, "Deep": {"a": [None]}}])
        self.assertEqual(body(made, "any"), {"Id": "1", "N__c": 1.5, "Deep": {"a": [None]}})

    def test_refuses_what_cannot_be_read(self) -> None:
        with self.assertRaisesRegex(TypeError, "not a Salesforce field name"):
            mapper(outputs=[])(_typed(TypedDict("Wrong", {"Annual Spend": str})))
        with self.assertRaisesRegex(TypeError, "the field Id cannot be read as"):
            mapper(outputs=[])(_typed(TypedDict("Wrong", {"Id": set})))
        with self.assertRaisesRegex(TypeError, "must say what it reads"):
            mapper(outputs=[])(lambda it: None)

    def test_reads_salesforce_s_values(self) -> None:
        self.assertEqual(email(" Ada.LOVELACE+x@Example.ORG "), "ada.lovelace+x@example.org")
        for wrong in ["", "ada", "@example.org", "ada@", "ada@example", "a b@example.org", "a@b@example.org", "a@.org",
                      "a@example..org", "a@-x.org", "a@example.org, b@example.org", "n/a"]:
            self.assertIsNone(email(wrong), wrong)
        self.assertEqual(utc("2022-02-15T06:21:19.000+0000"), "2022-02-15T06:21:19Z")
        self.assertEqual(utc("2022-02-15T07:51:19.045+0130"), "2022-02-15T06:21:19.045Z")
        self.assertIsNone(utc("2022-02-30"))
        self.assertEqual(id18("001D000000IRFma"), "001D000000IRFmaIAH")
        self.assertEqual([kind_of("00T1"), kind_of("0051"), kind_of("0011")], ["event", "person", "object"])
        self.assertEqual([full_name(" ", "Prince"), full_name("小", "林")], ["Prince", "小 林"])


def _typed(record: Any) -> Any:
    def function(it: Any) -> None:
        return None

    function.__annotations__["it"] = record
    return function


if __name__ == "__main__":
    unittest.main()
