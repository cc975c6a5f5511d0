//! SOQL through the public API, checked against what the rendered records say.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use jiff::{Timestamp, ToSpan};
use org_sim::org::{Org, ResultSet, Sizes};
use serde_json::Value;

fn now() -> Timestamp {
    "2026-03-18T12:00:00Z".parse().unwrap()
}

fn sizes(list: &[(&str, usize)]) -> Sizes {
    Sizes(list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect())
}

fn org() -> Org {
    Org::new(
        7,
        &sizes(&[
            ("Contact", 900),
            ("Account", 200),
            ("Lead", 100),
            ("Opportunity", 100),
            ("Task", 150),
            ("Invoice__c", 80),
        ]),
        now(),
    )
}

fn page(org: &Org, rs: &ResultSet, offset: usize, limit: usize) -> Vec<Value> {
    let mut out = Vec::new();
    org.render(rs, offset, limit, "58.0", &mut out);
    serde_json::from_slice(&out).unwrap()
}

fn run(org: &Org, soql: &str) -> ResultSet {
    org.query(soql, false, now()).unwrap_or_else(|error| panic!("{soql}: {error}"))
}

fn records(org: &Org, soql: &str) -> Vec<Value> {
    page(org, &run(org, soql), 0, usize::MAX)
}

fn ids(records: &[Value]) -> Vec<String> {
    records.iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect()
}

fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap_or_default()
}

#[test]
fn filters_find_what_the_records_say() {
    type Oracle = fn(&Value) -> bool;
    let org = org();
    let all = records(
        &org,
        "SELECT FIELDS(STANDARD), Level__c, Languages__c, Score__c, Account.Name, Account.Rating FROM Contact",
    );
    assert_eq!(all.len(), 900);
    let table: &[(&str, Oracle)] = &[
        ("Email = null", |r| r["Email"].is_null()),
        ("Email != null", |r| !r["Email"].is_null()),
        ("Title = 'cfo'", |r| text(r, "Title") == "CFO"),
        // No value is not equal to any value.
        ("Title != 'CFO'", |r| text(r, "Title") != "CFO"),
        ("NOT Title = 'CFO'", |r| text(r, "Title") != "CFO"),
        ("Title <> 'CFO' AND Title != null", |r| {
            !r["Title"].is_null() && text(r, "Title") != "CFO"
        }),
        ("Title > 'm'", |r| text(r, "Title").to_lowercase().as_str() > "m"),
        ("Title < 'd'", |r| {
            !r["Title"].is_null() && text(r, "Title").to_lowercase().as_str() < "d"
        }),
        ("Title < null", |_| false),
        ("Title = ''", |r| r["Title"].is_null()),
        ("Title IN ('CFO', 'office manager', null)", |r| {
            ["", "CFO", "Office Manager"].contains(&text(r, "Title"))
        }),
        ("Title NOT IN ('CFO', 'Office Manager')", |r| {
            !["CFO", "Office Manager"].contains(&text(r, "Title"))
        }),
        ("LastName LIKE 'O\\'%'", |r| text(r, "LastName").starts_with("O'")),
        ("Email LIKE '%@%.example'", |r| {
            text(r, "Email").contains('@') && text(r, "Email").to_lowercase().ends_with(".example")
        }),
        ("Department LIKE '_T'", |r| text(r, "Department") == "IT"),
        ("Department = 'Legal\\\\Compliance'", |r| text(r, "Department") == "Legal\\Compliance"),
        ("MailingStreet LIKE '%\\n%'", |r| text(r, "MailingStreet").contains('\n')),
        ("LastName = 'Ёлкин'", |r| text(r, "LastName") == "Ёлкин"),
        ("LastName = 'ёЛКИН'", |r| text(r, "LastName") == "Ёлкин"),
        ("LastName = '\\u0401лкин'", |r| text(r, "LastName") == "Ёлкин"),
        ("DoNotCall = true", |r| r["DoNotCall"] == true),
        ("DoNotCall != TRUE", |r| r["DoNotCall"] == false),
        ("Score__c >= 50", |r| r["Score__c"].as_f64().is_some_and(|n| n >= 50.0)),
        ("Score__c < 12.5 OR Score__c = null", |r| r["Score__c"].as_f64().is_none_or(|n| n < 12.5)),
        ("Score__c IN (1, null)", |r| r["Score__c"].is_null() || r["Score__c"] == 1.0),
        ("Birthdate >= 1990-01-01", |r| text(r, "Birthdate") >= "1990-01-01"),
        ("Birthdate < 1950-06-01", |r| {
            !r["Birthdate"].is_null() && text(r, "Birthdate") < "1950-06-01"
        }),
        ("CreatedDate < 2024-06-01T02:00:00+02:00", |r| {
            text(r, "CreatedDate") < "2024-06-01T00:00:00.000+0000"
        }),
        ("CreatedDate = THIS_YEAR", |r| text(r, "CreatedDate").starts_with("2026")),
        ("CreatedDate > LAST_YEAR", |r| text(r, "CreatedDate") >= "2026"),
        ("CreatedDate >= LAST_YEAR", |r| text(r, "CreatedDate") >= "2025"),
        ("CreatedDate < LAST_YEAR", |r| text(r, "CreatedDate") < "2025"),
        ("CreatedDate <= LAST_YEAR", |r| text(r, "CreatedDate") < "2026"),
        ("CreatedDate != LAST_N_DAYS:30", |r| text(r, "CreatedDate") < "2026-02-16"),
        ("Birthdate = LAST_N_YEARS:40", |r| ("1986".."2026").contains(&text(r, "Birthdate"))),
        (
            "SystemModstamp >= 2025-01-01T00:00:00Z AND SystemModstamp < 2025-02-01T00:00:00.000Z",
            |r| text(r, "SystemModstamp").starts_with("2025-01"),
        ),
        ("NOT (DoNotCall = true OR HasOptedOutOfEmail = true)", |r| {
            r["DoNotCall"] == false && r["HasOptedOutOfEmail"] == false
        }),
        ("(DoNotCall = true OR HasOptedOutOfEmail = true) AND (NOT Email = null)", |r| {
            (r["DoNotCall"] == true || r["HasOptedOutOfEmail"] == true) && !r["Email"].is_null()
        }),
        ("Languages__c INCLUDES ('English;Deutsch', 'हिन्दी')", |r| {
            let has = |l| text(r, "Languages__c").split(';').any(|it| it == l);
            has("English") && has("Deutsch") || has("हिन्दी")
        }),
        ("Languages__c EXCLUDES ('English')", |r| {
            !text(r, "Languages__c").split(';').any(|it| it == "English")
        }),
        ("Account.Name LIKE '% Ltd'", |r| {
            r["Account"]["Name"].as_str().is_some_and(|name| name.ends_with(" Ltd"))
        }),
        ("Account.Rating = null", |r| r["Account"]["Rating"].is_null()),
        ("AccountId = null", |r| r["Account"].is_null()),
        ("contact.accountid != NULL", |r| !r["Account"].is_null()),
    ];
    for (filter, oracle) in table {
        let expected: Vec<Value> = all.iter().filter(|record| oracle(record)).cloned().collect();
        let found = records(&org, &format!("SELECT Id FROM Contact WHERE {filter}"));
        assert_eq!(ids(&found), ids(&expected), "{filter}");
        // The index of stamps and an order of its own must not change what is found.
        let mut sorted = ids(&records(
            &org,
            &format!(
                "select id from contact c where {filter} order by c.systemmodstamp desc, c.id desc"
            ),
        ));
        sorted.sort_unstable();
        assert_eq!(sorted, ids(&expected), "{filter}, ordered");
        assert_eq!(
            run(&org, &format!("SELECT COUNT() FROM Contact WHERE {filter}")).total,
            expected.len(),
            "{filter}, counted"
        );
    }
    // A table of filters that all find nothing, or all find everything, would prove little.
    let telling = table
        .iter()
        .filter(|(_, oracle)| {
            (1..900).contains(&all.iter().filter(|record| oracle(record)).count())
        })
        .count();
    assert!(telling >= table.len() - 2, "{telling} of {}", table.len());
}

#[test]
fn ids_compare_by_bytes_in_both_lengths() {
    let org = org();
    let all = ids(&records(&org, "SELECT Id FROM Contact"));
    assert!(all.is_sorted());
    let middle = &all[400];
    for id in [middle.as_str(), &middle[..15]] {
        for (op, expected) in
            [("=", 1), ("!=", 899), ("<", 400), ("<=", 401), (">", 499), (">=", 500)]
        {
            assert_eq!(
                run(&org, &format!("SELECT Id FROM Contact WHERE Id {op} '{id}'")).total,
                expected,
                "{op}"
            );
        }
    }
    let several = format!(
        "SELECT Id FROM Contact WHERE Id IN ('{}', '{}', '{}', '001000000000000AAA')",
        all[7], all[3], all[7]
    );
    assert_eq!(ids(&records(&org, &several)), [all[3].clone(), all[7].clone()]);
    assert_eq!(run(&org, &several.replace(" IN ", " NOT IN ")).total, 898);
    // Ids sort by the whole id, so all Contacts come after any Account.
    assert_eq!(run(&org, "SELECT Id FROM Contact WHERE Id > '001zzzzzzzzzzzz'").total, 900);
    assert_eq!(run(&org, "SELECT Id FROM Contact WHERE Id > '005000000000000'").total, 0);
}

#[test]
fn order_limit_and_offset() {
    let org = org();
    let by = |order: &str| {
        records(
            &org,
            &format!("SELECT Id, Title, Score__c, SystemModstamp FROM Contact ORDER BY {order}"),
        )
    };
    let keys = |records: &[Value]| -> Vec<(Option<String>, String)> {
        records
            .iter()
            .map(|r| (r["Title"].as_str().map(str::to_lowercase), text(r, "Id").to_owned()))
            .collect()
    };
    let mut expected = keys(&by("Id"));
    expected.sort();
    assert_eq!(keys(&by("Title")), expected, "nulls first, ties by id");
    assert_eq!(keys(&by("Title ASC NULLS FIRST, Id ASC")), expected);
    let last = keys(&by("Title NULLS LAST"));
    assert!(last.last().unwrap().0.is_none() && last[0].0.is_some());
    let scores: Vec<f64> =
        by("Score__c DESC NULLS LAST").iter().filter_map(|r| r["Score__c"].as_f64()).collect();
    assert!(scores.len() > 500 && scores.is_sorted_by(|a, b| a >= b));
    let stamps = |records: &[Value]| -> Vec<(String, String)> {
        records
            .iter()
            .map(|r| (text(r, "SystemModstamp").to_owned(), text(r, "Id").to_owned()))
            .collect()
    };
    let forward = stamps(&by("SystemModstamp, Id"));
    assert!(forward.is_sorted());
    let mut backward = stamps(&by("SystemModstamp DESC, Id DESC"));
    backward.reverse();
    assert_eq!(backward, forward);
    let cut = records(
        &org,
        "SELECT Id, SystemModstamp FROM Contact ORDER BY SystemModstamp, Id LIMIT 10 OFFSET 20",
    );
    assert_eq!(stamps(&cut), forward[20..30]);
    assert_eq!(run(&org, "SELECT Id FROM Contact LIMIT 10 OFFSET 895").total, 5);
    assert_eq!(run(&org, "SELECT COUNT() FROM Contact LIMIT 10").total, 10);
}

/// The way kilofold reads: by (SystemModstamp, Id), resuming from the last pair, loses and doubles nothing.
#[test]
fn a_keyset_walk_sees_every_record_once_even_on_one_second() {
    let mut org = org();
    let mut seconds = vec![];
    for one_second in [false, true] {
        if one_second {
            org.restamp_all("Contact", now());
        }
        let whole = ids(&records(&org, "SELECT Id FROM Contact ORDER BY SystemModstamp, Id"));
        let mut walked: Vec<String> = Vec::new();
        let mut filter = String::new();
        loop {
            let part = records(
                &org,
                &format!(
                    "SELECT Id, SystemModstamp FROM Contact {filter} ORDER BY SystemModstamp, Id LIMIT 37"
                ),
            );
            let Some(last) = part.last() else { break };
            let stamp = text(last, "SystemModstamp").replace("+0000", "Z");
            filter = format!(
                "WHERE SystemModstamp > {stamp} OR (SystemModstamp = {stamp} AND Id > '{}')",
                text(last, "Id")
            );
            walked.extend(ids(&part));
        }
        assert_eq!(walked, whole);
        let stamps: std::collections::BTreeSet<String> =
            org.truth("Contact").rows.into_iter().map(|row| row.1).collect();
        seconds.push(stamps.len());
    }
    assert!((100..800).contains(&seconds[0]) && seconds[1] == 1, "{seconds:?} distinct seconds");
}

#[test]
fn records_come_in_the_order_and_shape_of_the_select_list() {
    let org = org();
    let rs = run(
        &org,
        "select NAME, id, account.NAME, Email, account.owner.profile.name, Account.Id from Contact where AccountId != null and Email != null limit 1",
    );
    let mut out = Vec::new();
    org.render(&rs, 0, 10, "v58.0", &mut out);
    let text = String::from_utf8(out).unwrap();
    let record = &serde_json::from_str::<Value>(&text).unwrap()[0];
    let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["attributes", "Name", "Id", "Account", "Email"]);
    let id = record["Id"].as_str().unwrap();
    assert!(text.starts_with(&format!(r#"[{{"attributes":{{"type":"Contact","url":"/services/data/v58.0/sobjects/Contact/{id}"}},"Name":""#)), "{text}");
    let keys: Vec<&String> = record["Account"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["attributes", "Name", "Owner", "Id"]);
    assert_eq!(record["Account"]["Owner"]["Profile"]["attributes"]["type"], "Profile");
    let task = &records(
        &org,
        "SELECT Who.Name, Who.Type, WhoId, Who.Id FROM Task WHERE WhoId != null LIMIT 1",
    )[0];
    assert_eq!(task["Who"]["attributes"]["type"], "Name");
    assert_eq!(task["Who"]["Id"], task["WhoId"]);
    let kind = if text_of(task, "WhoId").starts_with("003") { "Contact" } else { "Lead" };
    assert_eq!(task["Who"]["Type"], kind);
    let none = &records(&org, "SELECT Account.Name FROM Contact WHERE AccountId = null LIMIT 1")[0];
    assert!(none["Account"].is_null());
    let counted = run(&org, "SELECT COUNT() FROM Contact");
    assert!(counted.count_only && counted.total == 900 && page(&org, &counted, 0, 10).is_empty());
}

fn text_of<'a>(record: &'a Value, field: &str) -> &'a str {
    record[field].as_str().unwrap()
}

#[test]
fn fields_functions_select_groups() {
    let mut org = org();
    let keys = |org: &Org, soql: &str| -> Vec<String> {
        records(org, soql)[0].as_object().unwrap().keys().cloned().collect()
    };
    let custom = keys(&org, "SELECT FIELDS(CUSTOM) FROM Contact LIMIT 1");
    assert_eq!(
        custom,
        ["attributes", "Level__c", "Languages__c", "Score__c", "External_Ref__c", "Newsletter__c"]
    );
    let all = keys(&org, "SELECT FIELDS(ALL) FROM Contact LIMIT 200");
    let standard = keys(&org, "SELECT FIELDS(STANDARD) FROM Contact");
    assert_eq!(all.len(), standard.len() + custom.len() - 1);
    let id = ids(&records(&org, "SELECT Id FROM Contact LIMIT 1")).remove(0);
    assert_eq!(keys(&org, &format!("SELECT FIELDS(ALL) FROM Contact WHERE Id IN ('{id}')")), all);
    org.hide_field("Contact", "Email", true, now());
    assert!(!keys(&org, "SELECT FIELDS(STANDARD) FROM Contact").contains(&"Email".to_owned()));
    let hidden = org.query("SELECT Email FROM Contact", false, now()).unwrap_err();
    let missing = org.query("SELECT Emall FROM Contact", false, now()).unwrap_err();
    assert_eq!(hidden.message.replace("Email", "Emall"), missing.message);
    org.show_field("Contact", "Email", now());
    assert_eq!(keys(&org, "SELECT FIELDS(ALL) FROM Contact LIMIT 1"), all);
}

#[test]
fn the_recycle_bin_is_seen_by_query_all_only() {
    let mut org = org();
    let all = ids(&records(&org, "SELECT Id FROM Contact"));
    let before = run(&org, "SELECT Id FROM Contact");
    let later = now() + 1.minute();
    org.delete("Contact", &all[..5], later);
    org.purge("Contact", &all[5..7], later);
    assert_eq!(run(&org, "SELECT Id FROM Contact").total, 893);
    let bin = org
        .query(
            "SELECT Id, IsDeleted, SystemModstamp FROM Contact WHERE IsDeleted = true",
            true,
            later,
        )
        .unwrap();
    let bin = page(&org, &bin, 0, 100);
    assert_eq!(ids(&bin), all[..5]);
    assert!(
        bin.iter().all(|r| r["IsDeleted"] == true
            && text(r, "SystemModstamp") == "2026-03-18T12:01:00.000+0000")
    );
    assert_eq!(org.query("SELECT Id FROM Contact", true, later).unwrap().total, 898);
    // A snapshot keeps its rows, but the purged ones are gone.
    assert_eq!((before.total, page(&org, &before, 0, 10).len()), (900, 8));
    org.undelete("Contact", &all[..2], later);
    assert_eq!(run(&org, "SELECT Id FROM Contact").total, 895);
    let truth = org.truth("Contact");
    assert_eq!((truth.count, truth.live, truth.deleted), (898, 895, 3));
}

#[test]
fn objects_without_stamps_answer_by_what_they_have() {
    let mut org = org();
    for (object, field) in [("AccountHistory", "CreatedDate"), ("LoginHistory", "LoginTime")] {
        let all = records(&org, &format!("SELECT Id, {field} FROM {object} ORDER BY {field}, Id"));
        assert!(all.len() > 100 && all.is_sorted_by_key(|r| text(r, field).to_owned()), "{object}");
        // The truth speaks of the same moments, and what has no recycle bin is gone at once.
        let stamps: Vec<String> = org.truth(object).rows.into_iter().map(|row| row.1).collect();
        let by_id = records(&org, &format!("SELECT {field} FROM {object} ORDER BY Id"));
        assert_eq!(by_id.iter().map(|r| text(r, field)).collect::<Vec<_>>(), stamps);
        org.delete(object, &ids(&all)[..1], now());
        let left = org.query(&format!("SELECT Id FROM {object}"), true, now()).unwrap().total;
        assert_eq!(left, all.len() - usize::from(object == "LoginHistory"));
        assert_eq!(
            org.query(&format!("SELECT SystemModstamp FROM {object}"), false, now())
                .unwrap_err()
                .code,
            "INVALID_FIELD"
        );
    }
    assert_eq!(records(&org, "SELECT Id, ExternalId, Rating__c FROM Supplier__x WHERE Approved__c = true OR Approved__c = false").len(), 60);
    assert_eq!(
        org.query("SELECT CreatedDate FROM Supplier__x", false, now()).unwrap_err().code,
        "INVALID_FIELD"
    );
}
