import unittest

from kilofold_plugin.testing import body, run

from mapping import plugin

ADA = {
    "attributes": {"type": "Contact"},
    "Id": "003D000000QYVl5IAH",
    "FirstName": "Ada",
    "LastName": "Lovelace",
    "Email": "ADA@Example.org",
    "Account": {"Name": "Analytical Engines"},
    "HasOptedOutOfEmail": True,
    "DoNotCall": False,
    "CreatedDate": "2022-02-15T06:21:19.000+0000",
    "LastModifiedDate": "2024-02-29T23:59:59.123+0000",
}


class Mapping(unittest.TestCase):
    def test_maps_a_contact(self) -> None:
        [made] = run(plugin, [ADA])
        self.assertEqual(made["mapped"][0]["key"], "003D000000QYVl5IAH")
        fields = body(made, "person")
        self.assertEqual(fields["name"], "Ada Lovelace")
        self.assertEqual(fields["email"], "ada@example.org")
        self.assertEqual(fields["account_name"], "Analytical Engines")
        self.assertEqual(fields["created_at"], "2022-02-15T06:21:19Z")
        self.assertEqual(fields["updated_at"], "2024-02-29T23:59:59.123Z")
        self.assertEqual((fields["may_email"], fields["may_call"]), (False, True))

    def test_skips_and_rejects_for_a_reason(self) -> None:
        records = [{**ADA, "Email": None}, {**ADA, "Email": "see notes"}, {**ADA, "LastName": None}]
        none, wrong, unnamed = run(plugin, records)
        self.assertEqual(none, {"skipped": "no e-mail address"})
        failed = {"code": "email.invalid", "message": '"see notes" is not an e-mail address', "field": "Email"}
        self.assertEqual(wrong, {"failed": failed})
        self.assertEqual(unnamed["failed"]["code"], "field.missing")


if __name__ == "__main__":
    unittest.main()
