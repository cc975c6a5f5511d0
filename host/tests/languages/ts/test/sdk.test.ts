import assert from "node:assert/strict";
import { test } from "node:test";

import { anyOutput, anyRecord, email, fullName, id, id18, kindOf, mapper, output, record, skip, text, utc } from "kilofold-plugin";
import { body, run } from "kilofold-plugin/testing";

import plugin from "../src/index.ts";

const line = (kind: string, more: object = {}) => ({ Id: "a01D000000IRFma", Kind__c: kind, ...more });

test("makes, skips, fails and joins", () => {
  const logs: string[] = [];
  const records = [
    line("one", { Tags__c: "a;ü", Size__c: 12, At__c: "2024-02-29T08:30:00.000+0000", Where__c: { city: "Paris" } }),
    line("skip"),
    line("fail"),
    line("throw reject"),
    line("none"),
    line("two"),
    line("log"),
  ];
  const made = run(plugin, records, {
    settings: { home: "us" },
    stored: { line: { a01D000000IRFma: { n: 1 } } },
    onLog: (level, message) => logs.push(`${level}: ${message}`),
  });
  assert.deepEqual(body(made[0], "line"), {
    tags: ["a", "ü"],
    size: 12,
    at: "2024-02-29T08:30:00Z",
    city: "Paris",
    home: "us",
    year: 2026,
    known: { n: 1 },
  });
  assert.equal(made[1]?.skipped, "told to");
  assert.deepEqual(made[2]?.failed, { code: "told.to", message: "m", field: "Kind__c" });
  assert.deepEqual(made[3]?.failed, { code: "told.too", message: "thrown", field: null });
  assert.equal(made[4]?.skipped, "the mapping made no output");
  assert.deepEqual(body(made[5], "relationship"), {
    relation: "account",
    from_kind: "person",
    from_key: "003D000000QYVl5IAH",
    to_kind: "object",
    to_key: "001D000000IRFmaIAH",
  });
  assert.deepEqual(logs, ["warn: a01D000000IRFma in test, at least 2"]);
});

test("names the field that cannot be read", () => {
  const wrong = [
    { Id: "1" },
    line("x", { Size__c: 1.5 }),
    line("x", { Size__c: "1" }),
    line("x", { At__c: "yesterday" }),
    line("x", { Where__c: "here" }),
  ];
  assert.deepEqual(
    run(plugin, wrong).map((it) => `${it.failed?.code} ${it.failed?.message}`),
    [
      "field.missing Kind__c is empty, but the mapping needs it",
      'field.value Size__c must be a whole number, but is the number "1.5"',
      'field.type Size__c must be a whole number, but is the text "1"',
      'field.value At__c must be a date-time such as 2024-02-29T08:30:00.000+0000, but is the text "yesterday"',
      'field.type Where__c must be an address, but is the text "here"',
    ],
  );
});

test("an error is the test's own", () => {
  assert.throws(() => run(plugin, [line("throw")]), /told to/);
});

test("settings are checked", () => {
  assert.throws(() => run(plugin, [], { settings: { least: -1 } }));
});

test("describes what is declared", () => {
  const told = plugin.about.describe();
  assert.deepEqual([told.name, told.version], ["everything-ts", "0.2.0"]);
  assert.deepEqual(told.reads.filter((it) => it.required).map((it) => it.name), ["Id", "Kind__c"]);
  assert.deepEqual(told.settings.map((it) => [it.name, it.title, it.kind.tag, it.required, it.defaultValue]), [
    ["home", "Home", "choice", false, "eu"],
    ["least", "Least", "integer", false, "2"],
    ["token", "Token", "secret", false, null],
  ]);
});

test("takes a whole batch, one outcome a record that could be read", () => {
  const thing = output("thing", { among: text });
  const whole = mapper({
    record: record({ Id: id, Name: text }),
    outputs: [thing],
    mapAll: (records) => records.map((it, i) => (i === 0 ? skip("first") : thing(it.Id, { among: `${records.length}` }))),
  });
  const made = run(whole, [{ Id: "1", Name: "a" }, { Id: "2" }, { Id: "3", Name: "c" }]);
  assert.equal(made[0]?.skipped, "first");
  assert.equal(made[1]?.failed?.code, "field.missing");
  assert.deepEqual(body(made[2], "thing"), { among: "2" });
  const short = mapper({ record: record({ Id: id }), outputs: [thing], mapAll: () => [] });
  assert.throws(() => run(short, [{ Id: "1" }]), /0 outcomes for 1 records/);
});

test("takes any object", () => {
  const any = anyOutput("any");
  const plugin = mapper({ record: anyRecord, outputs: [any], map: (it) => any(String(it["Id"]), it) });
  const [made] = run(plugin, [{ attributes: {}, Id: "1", N__c: 1.5, Deep: { a: [null] } }]);
  assert.deepEqual(body(made, "any"), { Id: "1", N__c: 1.5, Deep: { a: [null] } });
});

test("refuses what is no field", () => {
  assert.throws(() => record({ "Annual Spend": text }), /not a Salesforce field name/);
});

test("tells addresses from other texts", () => {
  assert.equal(email(" Ada.LOVELACE+x@Example.ORG "), "ada.lovelace+x@example.org");
  assert.equal(email("ÉLODIE@exämple.fr"), "élodie@exämple.fr");
  for (const wrong of ["", "ada", "@example.org", "ada@", "ada@example", "a b@example.org", "a@b@example.org", "a@.org",
    "a@example..org", "a@-x.org", "a@example.org, b@example.org", "n/a"]) {
    assert.equal(email(wrong), null, wrong);
  }
});

test("reads Salesforce's values", () => {
  assert.equal(utc("2022-02-15T06:21:19.000+0000"), "2022-02-15T06:21:19Z");
  assert.equal(utc("2022-02-15T07:51:19.045+0130"), "2022-02-15T06:21:19.045Z");
  assert.equal(utc("2022-02-30"), undefined);
  assert.equal(id18("001D000000IRFma"), "001D000000IRFmaIAH");
  assert.deepEqual([kindOf("00T1"), kindOf("0051"), kindOf("0011")], ["event", "person", "object"]);
  assert.deepEqual([fullName(" ", "Prince"), fullName("小", "林")], ["Prince", "小 林"]);
});
