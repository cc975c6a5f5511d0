use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// Every file of a target's corpus: seeds, and whatever once went wrong.
fn corpus(target: &str, body: fn(&[u8])) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut files = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        body(&std::fs::read(file.unwrap().path()).unwrap());
        files += 1;
    }
    assert!(files > 0, "{} is empty", folder.display());
}

#[test]
fn the_corpus_holds() {
    corpus("soql", soql);
    corpus("answer", answer);
    corpus("codec", codec);
    corpus("config", config);
}

/// Pieces that conditions are made of, well and badly.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("Name = 'a'".to_owned()),
        Just("(Email != null".to_owned()),
        Just("Amount > 1.5)".to_owned()),
        prop::sample::select(vec![
            "(",
            ")",
            "'",
            "\\",
            " AND ",
            " OR ",
            " NOT ",
            "''",
            "\\'",
            "'\\\\'",
            "\n",
            " LIMIT 1",
            " ORDER BY Id",
            "Id IN ('a', 'b')",
            "x = TODAY",
            "--",
            "/*",
            "\u{2019}",
            "\"",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,6}",
    ]
}

/// Answers with records of all kinds: well-formed, but for the few that are not.
fn answer_text() -> impl Strategy<Value = String> {
    let names = [
        "Id",
        "id",
        "Name",
        "Na\\u006de",
        "NAME",
        "Email",
        "Account",
        "account",
        "Owner",
        "Amount",
        "Address",
        "IsDeleted",
        "SystemModstamp",
        "CreatedDate",
        "attributes",
        "Other__c",
    ];
    let name = prop_oneof![60 => prop::sample::select(names.to_vec()), 1 => Just("\\ud800")];
    let leaf = prop_oneof![
        60 => prop::sample::select(vec![
            "\"0034C00000VaYfKQAV\"", "\"0014C00000VaYfKQAV\"", "\"2022-02-15T06:21:19.000+0000\"", "null", "true",
            "false", "10046.0", "-1e-7", "\"\"", "\"a \\\"b\\\" \\u00e9\\ud83d\\ude00\"", "\"é 😀 }{][\"", "{}", "[]", "\"null\"",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,4}",
    ];
    let object = move |inner: BoxedStrategy<String>| {
        let member = (name.clone(), inner, prop::sample::select(vec![":", " : ", ":\n"]))
            .prop_map(|(name, value, colon)| format!("\"{name}\"{colon}{value}"));
        prop::collection::vec(member, 0..7).prop_map(|members| format!("{{{}}}", members.join(",")))
    };
    let nested = object.clone();
    let value = leaf.prop_recursive(3, 20, 5, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..3)
            .prop_map(|all| format!("[{}]", all.join(", ")));
        prop_oneof![3 => nested(inner.boxed()), 1 => list]
    });
    let record = (object(value.boxed()), any::<bool>()).prop_map(|(record, whole)| match whole {
        true => record.replacen('{', "{\"Id\":\"0034C00000VaYfKQAV\",", 1).replace(",}", "}"),
        false => record,
    });
    let same = (record, 1_usize..4).prop_map(|(record, times)| vec![record; times].join(","));
    let records =
        prop::collection::vec(same, 0..4).prop_map(|all| format!("[{}]", all.join(" , ")));
    (
        records,
        prop::sample::select(vec!["2", "3", "4", "5", "6", "7", "-0", "2.0", "x"]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(records, total, done, behind)| {
            let head = format!("\"totalSize\":{total},\"done\":{done},\"nextRecordsUrl\":\"\\/x\"");
            match behind {
                true => format!("{{\"records\":{records}, {head} }} "),
                false => format!("{{{head},\"records\" :{records}}}"),
            }
        })
}

proptest! {
    #[test]
    fn no_condition_leaves_its_parentheses(pieces in prop::collection::vec(piece(), 0..8)) {
        soql(format!("Contact\nName,Account.Name\nSystemModstamp\n{}", pieces.concat()).as_bytes());
    }

    #[test]
    fn no_name_becomes_more_than_a_name(object in "[ -~]{0,12}", fields in "[ -~]{0,20}", stamp in "[A-Z][a-z]{1,8}") {
        soql(format!("{object}\n{fields}\n{stamp}\nName != null").as_bytes());
    }

    #[test]
    fn any_text_is_one_literal(text in any::<String>()) {
        soql(text.as_bytes());
    }

    #[test]
    fn answers_are_read_or_refused(at in any::<prop::sample::Index>(), with in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/answer/page.json")).unwrap();
        let place = at.index(text.len());
        text[place] = with;
        answer(&text);
        answer(&text[..cut.index(text.len())]);
    }

    #[test]
    fn any_answer_is_read_as_serde_reads_it(text in answer_text()) {
        answer(text.as_bytes());
    }

    #[test]
    fn stored_values_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200)) {
        codec(&data);
    }

    #[test]
    fn configurations_are_read_or_refused(at in any::<prop::sample::Index>(), with in "[ -~\n]{0,4}") {
        let mut text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/config/usual.toml")).unwrap();
        let place = at.index(text.len());
        text.replace_range(place..=place, &with);
        config(text.as_bytes());
    }
}
