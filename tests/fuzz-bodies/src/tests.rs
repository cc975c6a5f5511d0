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
