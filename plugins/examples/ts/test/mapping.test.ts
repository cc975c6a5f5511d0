import assert from "node:assert/strict";
import { test } from "node:test";

import { body, run } from "kilofold-plugin/testing";

import plugin from "../src/index.ts";

const ADA = {
  attributes: { type: "Contact" },
  Id: "003D000000QYVl5IAH",
  FirstName: "Ada",
  LastName: "Lovelace",
  Email: "ADA@Example.org",
  Account: { Name: "Analytical Engines" },
  HasOptedOutOfEmail: true,
  DoNotCall: false,
  CreatedDate: "2022-02-15T06:21:19.000+0000",
  LastModifiedDate: "2024-02-29T23:59:59.123+0000",
};

test("maps a contact", () => {
  const [made] = run(plugin, [ADA]);
  assert.equal(made?.mapped?.[0]?.key, "003D000000QYVl5IAH");
  const fields = body(made, "person");
  assert.equal(fields["name"], "Ada Lovelace");
  assert.equal(fields["email"], "ada@example.org");
  assert.equal(fields["account_name"], "Analytical Engines");
  assert.equal(fields["created_at"], "2022-02-15T06:21:19Z");
  assert.equal(fields["updated_at"], "2024-02-29T23:59:59.123Z");
  assert.deepEqual([fields["may_email"], fields["may_call"]], [false, true]);
});

test("skips and rejects for a reason", () => {
  const [none, wrong, unnamed] = run(plugin, [
    { ...ADA, Email: null },
    { ...ADA, Email: "see notes" },
    { ...ADA, LastName: null },
  ]);
  assert.equal(none?.skipped, "no e-mail address");
  assert.deepEqual(wrong?.failed, {
    code: "email.invalid",
    message: '"see notes" is not an e-mail address',
    field: "Email",
  });
  assert.equal(unnamed?.failed?.code, "field.missing");
});
