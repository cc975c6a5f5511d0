//! Records, describe and changes through the public API.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeSet, HashMap};

use jiff::{Timestamp, ToSpan};
use org_sim::org::{Org, Sizes};
use serde_json::{Value, json};

fn now() -> Timestamp {
    "2026-03-18T12:00:00Z".parse().unwrap()
}

fn org(seed: u64) -> Org {
    let sizes = [
        ("Contact", 2_000),
        ("Account", 300),
        ("Lead", 200),
        ("Opportunity", 200),
        ("Task", 200),
        ("invoice__c", 200),
    ];
    Org::new(
        seed,
        &Sizes(sizes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()),
        now(),
    )
}

fn all(org: &Org, soql: &str) -> Vec<Value> {
    let rs = org.query(soql, true, now()).unwrap();
    let mut out = Vec::new();
    org.render(&rs, 0, usize::MAX, "v58.0", &mut out);
    serde_json::from_slice(&out).unwrap()
}

fn one(org: &Org, id: &str, field: &str) -> Value {
    all(org, &format!("SELECT {field} FROM Contact WHERE Id = '{id}'"))[0][field].clone()
}

const OBJECTS: [&str; 12] = [
    "Account",
    "AccountHistory",
    "Contact",
    "Group",
    "Invoice__c",
    "Lead",
    "LoginHistory",
    "Opportunity",
    "Profile",
    "Supplier__x",
    "Task",
    "User",
];

#[test]
fn the_same_seed_gives_the_same_org() {
    let (a, b, c) = (org(1), org(1), org(2));
    assert_eq!(a.org_id(), b.org_id());
    assert_eq!((a.org_id().len(), &a.org_id()[..3]), (18, "00D"));
    for object in OBJECTS {
        assert_eq!(a.truth(object), b.truth(object), "{object}");
        assert_ne!(a.truth(object).digest, c.truth(object).digest, "{object}");
        assert_eq!(a.describe(object, "58.0"), b.describe(object, "58.0"));
    }
    assert_eq!(a.user_id("ann@example.com"), b.user_id("Ann@example.com"));
    assert_ne!(a.user_id("ann@example.com"), a.user_id("bob@example.com"));
    let first = &all(&a, "SELECT Id FROM User WHERE Username = 'user3@example.com'")[0]["Id"];
    assert_eq!(*first, a.user_id("user3@example.com"));
}

#[test]
fn contacts_are_as_wild_as_real_ones() {
    let org = org(3);
    let contacts = all(&org, "SELECT FIELDS(STANDARD) FROM Contact");
    let share = |wanted: &dyn Fn(&Value) -> bool| {
        contacts.iter().filter(|contact| wanted(contact)).count() * 1000 / contacts.len()
    };
    let has = |field: &'static str, wanted: fn(char) -> bool| {
        share(&move |c: &Value| c[field].as_str().is_some_and(|text| text.contains(wanted)))
    };
    assert!(
        (10..100)
            .contains(&share(&|c| c["Email"].as_str().is_some_and(|mail| !mail.contains('@')))),
        "invalid e-mails"
    );
    assert!((30..100).contains(&share(&|c| c["Email"].is_null())), "no e-mail");
    for (script, range) in [
        ("Cyrillic", '\u{400}'..'\u{500}'),
        ("Greek", '\u{370}'..'\u{400}'),
        ("Arabic", '\u{600}'..'\u{700}'),
        ("Hebrew", '\u{590}'..'\u{600}'),
        ("Devanagari", '\u{900}'..'\u{980}'),
        ("CJK", '\u{4e00}'..'\u{a000}'),
        ("Hangul", '\u{ac00}'..'\u{d7b0}'),
        ("Kana", '\u{3040}'..'\u{3100}'),
    ] {
        let found = share(&|c| {
            c["Name"].as_str().is_some_and(|name| name.chars().any(|c| range.contains(&c)))
        });
        assert!(found >= 5, "{script}: {found}");
    }
    assert!(
        has("Description", |c| c == '"') > 50
            && has("Description", |c| c == '\\') > 50
            && has("Description", |c| c == '\n') > 50
            && has("Description", |c| c > '\u{1f000}') > 50
    );
    assert!(has("MailingStreet", |c| c == '\n') > 50);
    let stamps: HashMap<&str, usize> = contacts.iter().fold(HashMap::new(), |mut seen, c| {
        *seen.entry(c["SystemModstamp"].as_str().unwrap()).or_default() += 1;
        seen
    });
    assert!(
        stamps.values().any(|count| *count >= 10) && stamps.len() > 300,
        "{} stamps",
        stamps.len()
    );
    for contact in &contacts {
        let at = |field: &str| contact[field].as_str().unwrap().to_owned();
        assert!(
            at("CreatedDate") <= at("LastModifiedDate")
                && at("LastModifiedDate") <= at("SystemModstamp")
                && at("SystemModstamp").as_str() <= "2026-03-18T12:00:00.000+0000"
        );
        if let Some(address) = contact["MailingAddress"].as_object() {
            let keys: Vec<&String> = address.keys().collect();
            assert_eq!(
                keys,
                [
                    "city",
                    "country",
                    "geocodeAccuracy",
                    "latitude",
                    "longitude",
                    "postalCode",
                    "state",
                    "street"
                ]
            );
            assert_eq!(address["city"], contact["MailingCity"]);
        }
    }
    let rs = org.query("SELECT Id, AccountId, LastName, FirstName, Salutation, Name, MailingStreet, MailingCity, MailingState, MailingPostalCode, MailingCountry, Phone, MobilePhone, Email, Title, Department, LeadSource, Birthdate, Description, OwnerId, HasOptedOutOfEmail, DoNotCall, Level__c, CreatedDate, LastModifiedDate, SystemModstamp FROM Contact", false, now()).unwrap();
    let mean = org.page(&rs, 0, usize::MAX, "58.0").len() / rs.total;
    assert!((1_000..1_300).contains(&mean), "{mean} bytes a record");
    assert_eq!(rs.page_ceiling(), 1000);
}

#[test]
fn lookups_lead_to_records() {
    let org = org(4);
    for (object, field, parents) in [
        ("Contact", "AccountId", &["Account"][..]),
        ("Opportunity", "AccountId", &["Account"]),
        ("Task", "WhoId", &["Contact", "Lead"]),
        ("Task", "WhatId", &["Account", "Opportunity"]),
        ("Invoice__c", "Account__c", &["Account"]),
        ("Lead", "OwnerId", &["User", "Group"]),
    ] {
        let known: BTreeSet<String> =
            parents.iter().flat_map(|parent| org.truth(parent).rows).map(|row| row.0).collect();
        let found = all(&org, &format!("SELECT {field} FROM {object} WHERE {field} != null"));
        assert!(found.len() > 100, "{object}.{field}: {}", found.len());
        assert!(
            found.iter().all(|record| known.contains(record[field].as_str().unwrap())),
            "{object}.{field}"
        );
    }
}

#[test]
fn describe_is_complete_and_agrees_with_queries() {
    const TOP: &str = "actionOverrides activateable associateEntityType associateParentEntity childRelationships compactLayoutable createable custom customSetting deepCloneable defaultImplementation deletable deprecatedAndHidden extendedBy extendsInterfaces feedEnabled fields hasSubtypes implementedBy implementsInterfaces isInterface isSubtype keyPrefix label labelPlural layoutable listviewable lookupLayoutable mergeable mruEnabled name namedLayoutInfos networkScopeFieldName queryable recordTypeInfos replicateable retrieveable searchLayoutable searchable sobjectDescribeOption supportedScopes triggerable undeletable updateable urls";
    const FIELD: &str = "aggregatable aiPredictionField autoNumber byteLength calculated calculatedFormula cascadeDelete caseSensitive compoundFieldName controllerName createable custom defaultValue defaultValueFormula defaultedOnCreate dependentPicklist deprecatedAndHidden digits displayLocationInDecimal encrypted externalId extraTypeInfo filterable filteredLookupInfo formulaTreatNullNumberAsZero groupable highScaleNumber htmlFormatted idLookup inlineHelpText label length mask maskType name nameField namePointing nillable permissionable picklistValues polymorphicForeignKey precision queryByDistance referenceTargetField referenceTo relationshipName relationshipOrder restrictedDelete restrictedPicklist scale searchPrefilterable soapType sortable type unique updateable writeRequiresMasterRead";
    const GLOBAL: &str = "activateable associateEntityType associateParentEntity createable custom customSetting deepCloneable deletable deprecatedAndHidden feedEnabled hasSubtypes isInterface isSubtype keyPrefix label labelPlural layoutable mergeable mruEnabled name queryable replicateable retrieveable searchable triggerable undeletable updateable urls";
    let keys =
        |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    let few = OBJECTS[..11].iter().map(|name| ((*name).to_owned(), 60)).collect();
    let org = Org::new(5, &Sizes(few), now());
    let global = org.describe_global("v58.0");
    let names: Vec<&str> = global["sobjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["name"].as_str().unwrap())
        .collect();
    // The list of approvals has no records before somebody approves; its test is among those of logging in.
    let tokens = names.iter().position(|name| *name == "OauthToken").unwrap();
    let (mut names, mut listed) = (names, global["sobjects"].as_array().unwrap().clone());
    names.remove(tokens);
    listed.remove(tokens);
    assert_eq!(names, OBJECTS);
    for (object, brief) in names.iter().zip(&listed) {
        assert_eq!(keys(brief), GLOBAL);
        let (about, modified) = org.describe(&object.to_lowercase(), "58.0").unwrap();
        assert!(modified < now());
        assert_eq!(keys(&about), TOP);
        assert_eq!(about["urls"]["sobject"], format!("/services/data/v58.0/sobjects/{object}"));
        for field in about["fields"].as_array().unwrap() {
            assert_eq!(keys(field), FIELD, "{object}.{}", field["name"]);
            let name = field["name"].as_str().unwrap();
            let values = all(&org, &format!("SELECT {name} FROM {object}"));
            assert!(!values.is_empty());
            let kind = field["type"].as_str().unwrap();
            for value in values
                .iter()
                .map(|record| &record[name])
                .filter(|value| !value.is_null() || field["nillable"] == false)
            {
                let fits = match kind {
                    "boolean" => value.is_boolean(),
                    "int" => value.is_i64(),
                    "double" | "currency" | "percent" => value.is_f64(),
                    "address" => value.is_object(),
                    "id" | "reference" => value
                        .as_str()
                        .and_then(org_sim::data::id::canonical)
                        .is_some_and(|id| value == &id),
                    "date" => {
                        value.as_str().is_some_and(|text| text.parse::<jiff::civil::Date>().is_ok())
                    }
                    "datetime" => value.as_str().is_some_and(|text| {
                        text.len() == 28
                            && text.ends_with(".000+0000")
                            && text.parse::<Timestamp>().is_ok()
                    }),
                    _ => value.as_str().is_some_and(|text| {
                        text.chars().count() <= field["length"].as_u64().unwrap() as usize
                    }),
                };
                assert!(fits, "{object}.{name}: {kind} {value}");
            }
            let sorted =
                org.query(&format!("SELECT Id FROM {object} ORDER BY {name}"), false, now());
            assert_eq!(sorted.is_ok(), field["sortable"] == true, "{object}.{name}");
            let filtered =
                org.query(&format!("SELECT Id FROM {object} WHERE {name} = null"), false, now());
            assert_eq!(
                filtered.is_ok(),
                field["filterable"] == true && kind != "address",
                "{object}.{name}"
            );
        }
    }
    let (contact, _) = org.describe("Contact", "58.0").unwrap();
    let field = |name: &str| {
        contact["fields"]
            .as_array()
            .unwrap()
            .iter()
            .find(|field| field["name"] == name)
            .unwrap()
            .clone()
    };
    let says = |name: &str, expected: Value| {
        expected
            .as_object()
            .unwrap()
            .iter()
            .for_each(|(key, value)| assert_eq!(field(name)[key], *value, "{name}.{key}"))
    };
    says(
        "Id",
        json!({"type": "id", "soapType": "tns:ID", "length": 18, "nillable": false, "defaultedOnCreate": true, "idLookup": true}),
    );
    says(
        "AccountId",
        json!({"type": "reference", "referenceTo": ["Account"], "relationshipName": "Account", "soapType": "tns:ID"}),
    );
    says(
        "MailingStreet",
        json!({"type": "textarea", "compoundFieldName": "MailingAddress", "extraTypeInfo": "plaintextarea", "byteLength": 765, "filterable": true}),
    );
    says(
        "SystemModstamp",
        json!({"type": "datetime", "soapType": "xsd:dateTime", "nillable": false, "filterable": true, "sortable": true}),
    );
    says(
        "MailingAddress",
        json!({"type": "address", "soapType": "urn:address", "filterable": true}),
    );
    says(
        "Description",
        json!({"type": "textarea", "filterable": false, "sortable": false, "length": 32_000}),
    );
    assert_eq!(contact["recordTypeInfos"][0]["recordTypeId"], "012000000000000AAA");
    assert_eq!(org.describe("Nope", "58.0"), None);
}

#[test]
fn hidden_fields_leave_describe_and_date_it() {
    let mut org = org(5);
    let names = |org: &Org| -> Vec<String> {
        org.describe("Contact", "58.0").unwrap().0["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| field["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let before = names(&org);
    org.hide_field("Contact", "email", true, now());
    assert_eq!(org.describe("Contact", "58.0").unwrap().1, now());
    assert_eq!(
        before.iter().filter(|name| *name != "Email").cloned().collect::<Vec<_>>(),
        names(&org)
    );
    org.show_field("Contact", "Email", now());
    assert_eq!(names(&org), before);
}

#[test]
fn changes_show_in_values_stamps_and_digest() {
    let mut org = org(6);
    let later = now() + 1.minute();
    let before = org.truth("Contact");
    let touched = org.touch("Contact", 50, 9, later);
    assert!(touched.len() == 50 && touched.is_sorted());
    let after = org.truth("Contact");
    assert_ne!(before.digest, after.digest);
    for (old, new) in before.rows.iter().zip(&after.rows) {
        assert_eq!(old != new, touched.contains(&old.0), "{}", old.0);
    }
    assert!(
        after
            .rows
            .iter()
            .filter(|row| touched.contains(&row.0))
            .all(|row| row.1 == "2026-03-18T12:01:00.000+0000")
    );
    let again = org.touch("Contact", 5_000, 10, later);
    assert_eq!(again.len(), 2_000);
    assert_eq!(org.touch("Nope", 5, 1, later), Vec::<String>::new());

    let born = org.insert("Contact", 3, 1, later);
    assert!(born.iter().all(|id| *id > again[1_999]));
    let late = org.insert_at("Contact", 2, 1, now() - 1.hour());
    assert!(late[0] > born[2]);
    assert_eq!(one(&org, &late[0], "SystemModstamp"), "2026-03-18T11:00:00.000+0000");
    let window = "SELECT Id FROM Contact WHERE SystemModstamp > 2026-03-18T10:59:59Z AND SystemModstamp <= 2026-03-18T11:00:00Z ORDER BY SystemModstamp, Id";
    assert_eq!(
        all(&org, window).iter().map(|record| record["Id"].as_str().unwrap()).collect::<Vec<_>>(),
        late
    );
    org.purge("Contact", &late, later);
    assert_eq!(org.truth("Contact").count, 2_003);

    // Every kind of change moves a record in the order of stamps.
    let stamped = |org: &Org| -> Vec<(String, String)> {
        let found = all(org, "SELECT Id, SystemModstamp FROM Contact ORDER BY SystemModstamp, Id");
        found
            .iter()
            .map(|r| {
                (
                    r["SystemModstamp"].as_str().unwrap().to_owned(),
                    r["Id"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    };
    for round in 0..4_i64 {
        let at = later + (round + 1).minutes();
        match round {
            0 => drop(org.touch("Contact", 7, 3, at)),
            1 => org.delete("Contact", &touched[3..9], at),
            2 => org.undelete("Contact", &touched[3..5], at),
            _ => org.set_field("Contact", &touched[0], "Title", json!("x"), at).unwrap(),
        }
        let order = stamped(&org);
        assert!(order.len() == 2_003 && order.is_sorted(), "round {round}");
    }
    assert_eq!(
        // Four are in the recycle bin.
        org.record_count(&["contact", "Nope"]),
        json!({"sObjects": [{"count": 1_999, "name": "Contact"}]})
    );
}

#[test]
fn values_read_from_kept_pages_are_never_stale() {
    let mut org = org(8);
    let later = now() + 1.minute();
    let rs = org.query("SELECT Id, Title, FirstName, LastName, Name, Account.Name FROM Contact WHERE AccountId != null LIMIT 50", false, now()).unwrap();
    let read = |org: &Org| -> Vec<Value> {
        serde_json::from_slice(&org.page(&rs, 0, 50, "58.0")).unwrap()
    };
    let first = read(&org);
    assert_eq!(first, read(&org));
    let id = first[7]["Id"].as_str().unwrap();
    org.set_field("Contact", id, "LastName", json!("Łódź \"x\""), later).unwrap();
    org.set_field("Contact", id, "FirstName", Value::Null, later).unwrap();
    let second = read(&org);
    assert_eq!(
        (&second[7]["Name"], &second[7]["LastName"]),
        (&json!("Łódź \"x\""), &json!("Łódź \"x\""))
    );
    assert_eq!(second[6], first[6]);
    let parents = org.truth("Account").rows;
    for parent in &parents {
        org.set_field("Account", &parent.0, "Name", json!("New"), later).unwrap();
    }
    assert!(read(&org).iter().all(|record| record["Account"]["Name"] == "New"));
    // Hardly any room for pages changes nothing but the time it takes.
    org.set_page_room(10);
    assert!(read(&org).iter().all(|record| record["Account"]["Name"] == "New"));
}

#[test]
fn set_field_refuses_what_salesforce_refuses() {
    let mut org = org(6);
    let id = org.truth("Contact").rows[0].0.clone();
    let table = [
        ("Nope", json!(1), "INVALID_FIELD"),
        ("SystemModstamp", json!("2024-01-01T00:00:00Z"), "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ("LastName", Value::Null, "REQUIRED_FIELD_MISSING"),
        ("DoNotCall", json!("yes"), "JSON_PARSER_ERROR"),
        ("Birthdate", json!("yesterday"), "JSON_PARSER_ERROR"),
        ("FirstName", json!("x".repeat(41)), "STRING_TOO_LONG"),
    ];
    let before = org.truth("Contact");
    for (field, value, code) in table {
        assert_eq!(
            org.set_field("Contact", &id, field, value, now()).unwrap_err().code,
            code,
            "{field}"
        );
    }
    assert_eq!(
        org.set_field("Contact", "0034C00000VaYfKQAV", "Title", json!("x"), now())
            .unwrap_err()
            .code,
        "NOT_FOUND"
    );
    assert_eq!(org.truth("Contact"), before);
    for (field, value, shown) in [
        ("Score__c", json!(3), json!(3.0)),
        ("Birthdate", json!("2001-02-03"), json!("2001-02-03")),
        ("Title", json!(""), Value::Null),
        ("doNotCall", json!(true), json!(true)),
    ] {
        org.set_field("Contact", &id[..15], field, value, now()).unwrap();
        let name = if field == "doNotCall" { "DoNotCall" } else { field };
        assert_eq!(one(&org, &id, name), shown);
    }
}

#[test]
fn replication_answers_in_whole_minutes() {
    let mut org = org(6);
    let ids: Vec<String> = org.truth("Contact").rows.into_iter().map(|row| row.0).collect();
    let at: Timestamp = "2026-03-18T12:05:40Z".parse().unwrap();
    org.delete("Contact", &ids[..2], at);
    org.touch("Lead", 3, 1, at);
    let minute = |text: &str| -> Timestamp { text.parse().unwrap() };
    let deleted = org
        .deleted("Contact", minute("2026-03-18T12:01:00Z"), minute("2026-03-18T12:05:01Z"))
        .unwrap();
    assert_eq!(
        deleted["deletedRecords"],
        json!([{"deletedDate": "2026-03-18T12:05:40.000+0000", "id": ids[0]}, {"deletedDate": "2026-03-18T12:05:40.000+0000", "id": ids[1]}])
    );
    assert_eq!(deleted["latestDateCovered"], "2026-03-18T12:05:00.000+0000");
    assert_eq!(
        org.updated("Lead", minute("2026-03-18T12:05:59Z"), minute("2026-03-18T12:06:00Z"))
            .unwrap()["ids"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    let code = |result: Result<Value, org_sim::org::ApiError>| result.unwrap_err().code;
    assert_eq!(code(org.deleted("Contact", at, at)), "INVALID_REPLICATION_DATE");
    assert_eq!(
        code(org.updated("Contact", minute("2025-03-18T12:00:00Z"), at)),
        "INVALID_REPLICATION_DATE"
    );
    assert_eq!(code(org.updated("Nope", now(), at)), "NOT_FOUND");
    assert_eq!(code(org.updated("LoginHistory", now(), at)), "INVALID_TYPE_FOR_OPERATION");
}
