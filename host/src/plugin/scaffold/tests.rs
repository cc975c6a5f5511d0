use std::collections::BTreeSet;

use super::*;

fn project(lang: Lang, object: Object) -> Project {
    Project { name: "my-mapping".to_owned(), lang, object }
}

fn text_of<'f>(files: &'f [File], path: &str) -> &'f str {
    files.iter().find(|file| file.path == path).map(|file| file.text.as_str()).unwrap()
}

fn odd() -> Object {
    let fields = [
        ("Name", "string", false),
        ("Id", "id", false),
        ("Type", "picklist", true),
        ("Annual_Spend__c", "currency", true),
        ("AnnualSpend__c", "double", true),
        ("Colours__c", "multipicklist", true),
        ("Opens__c", "time", true),
        ("Place__c", "location", true),
        ("SICDesc__c", "string", false),
        ("Body__c", "base64", true),
        ("Contact_Email__c", "email", true),
        ("Active__c", "boolean", false),
        ("Count__c", "int", true),
        ("CreatedDate", "datetime", false),
        ("Unwanted", "date", true),
    ];
    Object::new("Invoice__c", fields, false)
}

#[test]
fn writes_the_mapping_in_every_language() {
    for (lang, path) in [
        (Lang::Rust, "src/lib.rs"),
        (Lang::TypeScript, "src/index.ts"),
        (Lang::Python, "mapping.py"),
    ] {
        let files = project(lang, odd()).files();
        insta::assert_snapshot!(format!("{lang:?}"), text_of(&files, path));
    }
    let files = project(Lang::Python, odd()).files();
    insta::assert_snapshot!(
        "case",
        format!(
            "{}{}",
            text_of(&files, "cases/invoice.input.json"),
            text_of(&files, "cases/invoice.expected.json")
        )
    );
}

#[test]
fn knows_the_standard_objects() {
    let names = Object::standard_names();
    assert!(names.len() > 10);
    for name in names {
        let object = Object::standard(&name.to_lowercase(), false).unwrap();
        assert_eq!((object.name.as_str(), object.fields[0].name.as_str()), (name, "Id"));
        let fields: BTreeSet<_> = object.fields.iter().map(|field| &field.name).collect();
        assert_eq!(fields.len(), object.fields.len(), "{name} has a field twice");
        assert!((5..=24).contains(&object.chosen().count()), "{name}");
        let all = Object::standard(name, true).unwrap();
        assert_eq!(all.chosen().count(), object.fields.len());
    }
    assert_eq!(Object::standard("Nothing", false), None);
}

#[test]
fn the_sdk_stands_alone() {
    for lang in [Lang::Rust, Lang::TypeScript, Lang::Python] {
        let files = project(lang, odd()).files();
        let paths: BTreeSet<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths.len(), files.len(), "a file comes twice");
        assert!(files.iter().any(|file| file.path.ends_with("wit/mapping.wit")));
        for file in files.iter().filter(|file| file.path.ends_with("Cargo.toml")) {
            assert!(!file.text.contains("workspace = true"), "{}:\n{}", file.path, file.text);
            assert!(!file.text.contains("dev-dependencies"), "{}", file.path);
        }
        let tests = files
            .iter()
            .filter(|file| file.path.starts_with("vendor/") && file.path.contains("/tests/"));
        assert_eq!(tests.count(), 0);
        assert!(lang != Lang::TypeScript || files.iter().any(|file| file.program));
    }
    let files = project(Lang::Rust, odd()).files();
    assert!(text_of(&files, "vendor/sdk/src/guest.rs").contains("path: \"../wit\""));
}

#[test]
fn names_are_checked() {
    for good in ["a", "contact-mapper", "x2"] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "Contact",
        "2x",
        "a_b",
        "a b",
        "a--b",
        "a-",
        "../a",
        "é",
        "test",
        "mapping",
        &"a".repeat(61),
    ] {
        assert!(check_name(bad).is_err(), "{bad}");
    }
}
