use proptest::prelude::*;

use super::*;
use crate::model::{Position, RecordId};

fn contact() -> Query {
    Query {
        object: "Contact".to_owned(),
        fields: ["Name", "id", "Account.Name", "systemmodstamp", "Email"]
            .map(str::to_owned)
            .to_vec(),
        stamp: Some("SystemModstamp".to_owned()),
        has_deleted: true,
        ..Query::default()
    }
}

fn window(scan: Scan, at: Option<Position>) -> Window {
    let stamp = |text| Stamp::parse(text).unwrap();
    let from = Some(stamp("2024-01-01T00:00:00Z"));
    Window { scan, from, to: stamp("2024-02-01T00:00:00Z"), at }
}

fn position() -> Position {
    Position {
        stamp: Stamp::parse("2024-01-02T03:04:05.000+0000").unwrap(),
        id: RecordId::parse("0034C00000VaYfKQAV").unwrap(),
    }
}

#[test]
fn selects_each_field_once() {
    assert_eq!(
        contact().text().unwrap(),
        "SELECT Id, SystemModstamp, IsDeleted, Name, Account.Name, Email FROM Contact ORDER BY Id"
    );
    let bare = Query { object: "Pricebook2History".to_owned(), ..Query::default() };
    assert_eq!(bare.text().unwrap(), "SELECT Id FROM Pricebook2History ORDER BY Id");
    assert_eq!(bare.count_text().unwrap(), "SELECT COUNT() FROM Pricebook2History");
}

#[test]
fn reads_a_window_by_stamp_from_the_pair_on() {
    let mut query = contact();
    query.fields.clear();
    query.filter = Some(" Email != null OR Name LIKE 'A%' ".to_owned());
    query.window = Some(window(Scan::ByStamp, None));
    let head = "SELECT Id, SystemModstamp, IsDeleted FROM Contact WHERE (Email != null OR Name LIKE 'A%') AND ";
    assert_eq!(
        query.text().unwrap(),
        format!(
            "{head}SystemModstamp >= 2024-01-01T00:00:00.000Z AND SystemModstamp <= 2024-02-01T00:00:00.000Z \
             ORDER BY SystemModstamp, Id"
        )
    );
    query.window = Some(window(Scan::ByStamp, Some(position())));
    assert_eq!(
        query.text().unwrap(),
        format!(
            "{head}SystemModstamp >= 2024-01-02T03:04:05.000Z AND SystemModstamp <= 2024-02-01T00:00:00.000Z AND \
             (SystemModstamp > 2024-01-02T03:04:05.000Z OR (SystemModstamp = 2024-01-02T03:04:05.000Z AND \
             Id > '0034C00000VaYfKQAV')) ORDER BY SystemModstamp, Id"
        )
    );
}

#[test]
fn reads_a_window_by_id() {
    let mut query = contact();
    query.fields.clear();
    let whole = Window { from: None, ..window(Scan::ById, Some(position())) };
    query.window = Some(whole);
    query.limit = Some(200);
    assert_eq!(
        query.text().unwrap(),
        "SELECT Id, SystemModstamp, IsDeleted FROM Contact WHERE SystemModstamp <= 2024-02-01T00:00:00.000Z AND \
         Id > '0034C00000VaYfKQAV' ORDER BY Id LIMIT 200"
    );
    query.stamp = None;
    assert_eq!(
        query.text().unwrap(),
        "SELECT Id, IsDeleted FROM Contact WHERE Id > '0034C00000VaYfKQAV' ORDER BY Id LIMIT 200"
    );
    query.window = Some(window(Scan::ByStamp, None));
    assert!(query.text().is_err());
}

#[test]
fn names_what_is_wrong_with_a_condition() {
    for (filter, word) in [
        ("Name = 'x", "quote"),
        ("Name = 'x\\'", "quote"),
        ("Name = 'x') OR (Id != null", "')'"),
        ("(Name = 'x'", "'('"),
        ("Name = \\'x\\'", "backslash"),
    ] {
        let error = check_filter(filter).unwrap_err().to_string();
        assert!(error.contains(word), "{filter}: {error}");
    }
    check_filter("(Name = 'it\\'s) fine') AND (A__c IN ('(', ')'))").unwrap();
    for name in ["", "1a", "a b", "Name FROM User", "a'", "a.", ".a", "a..b", "Näme"] {
        assert!(field_name(name).is_err(), "{name}");
    }
}

/// Reads a literal as Salesforce does; gives the value and what follows it.
fn unquote(text: &str) -> (String, String) {
    let mut chars = text.chars();
    assert_eq!(chars.next(), Some('\''));
    let mut value = String::new();
    loop {
        match chars.next().expect("the literal ends") {
            '\'' => return (value, chars.collect()),
            '\\' => match chars.next().expect("an escape ends") {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'b' => value.push('\u{8}'),
                'f' => value.push('\u{c}'),
                'u' => {
                    let digits: String = chars.by_ref().take(4).collect();
                    value.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
                }
                c @ ('\'' | '\\' | '"') => value.push(c),
                c => panic!("Salesforce refuses the escape \\{c}"),
            },
            c => value.push(c),
        }
    }
}

proptest! {
    #[test]
    fn a_quoted_text_comes_back_whole(text in any::<String>()) {
        prop_assert_eq!(unquote(&quote(&text)), (text, String::new()));
    }

    #[test]
    fn quotes_and_backslashes_do_not_break_out(text in "[\\\\'\"()nux0-9 ]{0,20}") {
        prop_assert_eq!(unquote(&quote(&text)), (text.clone(), String::new()));
        check_filter(&format!("Name = {}", quote(&text))).unwrap();
    }

    /// A condition that passes never closes the parenthesis it was put in before its end.
    #[test]
    fn a_condition_stays_in_its_parentheses(filter in "[\\\\'()a= ]{0,24}") {
        if check_filter(&filter).is_ok() {
            let whole: Vec<char> = format!("({filter})").chars().collect();
            let (mut depth, mut quoted, mut i) = (0, false, 0);
            while i < whole.len() {
                match whole[i] {
                    '\\' if quoted => i += 1,
                    '\'' => quoted = !quoted,
                    '(' if !quoted => depth += 1,
                    ')' if !quoted => depth -= 1,
                    _ => {}
                }
                i += 1;
                prop_assert!(depth > 0 || i >= whole.len(), "{filter} closes too early");
            }
            prop_assert!(depth == 0 && !quoted);
        }
    }

    #[test]
    fn never_panics(object in ".{0,20}", field in ".{0,20}", filter in ".{0,40}") {
        let query = Query { object, fields: vec![field], filter: Some(filter), ..Query::default() };
        drop(query.text());
    }
}
