//! What is released of the contract stays as it is: today's `wit/mapping.wit` against the copy of release 1.0.0.
//!
//! New abilities are new functions on interfaces that plugins import, new types, new interfaces and new worlds. Anything
//! else would refuse plugins that were built before.
//!
//! The two are compared item by item as texts without comments and spaces, which is all that the rules need and stricter
//! than they are. A WIT parser for the tests would have wasmtime built a second time, with other features of what they share.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};

const RELEASED: &str = include_str!("../../tests/fixtures/wit/mapping-1.0.0.wit");
const TODAY: &str = include_str!("../../wit/mapping.wit");
/// What plugins import; all other interfaces they export.
const IMPORTED: [&str; 1] = ["host"];

/// A package: the items of every interface and world, each by its name.
#[derive(Debug)]
struct Contract {
    /// Its name with the major version.
    package: String,
    interfaces: BTreeMap<String, BTreeMap<String, String>>,
    worlds: BTreeMap<String, BTreeSet<String>>,
}

impl Contract {
    fn read(wit: &str) -> Self {
        let plain: Vec<&str> =
            wit.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        let plain = plain.join(" ");
        let mut package = String::new();
        let (mut interfaces, mut worlds) = (BTreeMap::new(), BTreeMap::new());
        for item in items(&plain) {
            let (word, rest) = item.split_once(' ').unwrap();
            match word {
                "package" => package = rest.split('.').next().unwrap().to_owned(),
                "interface" | "world" => {
                    let (name, body) = rest.split_once('{').unwrap();
                    let name = name.trim().to_owned();
                    let found = items(body.trim().strip_suffix('}').unwrap());
                    if word == "world" {
                        worlds.insert(name, found.into_iter().collect());
                    } else {
                        let named = found.into_iter().map(|item| (name_of(&item), item));
                        interfaces.insert(name, named.collect());
                    }
                }
                other => panic!("the contract has a {other}; say here how it is compared"),
            }
        }
        assert!(!package.is_empty() && interfaces.len() > 3 && !worlds.is_empty());
        Self { package, interfaces, worlds }
    }

    /// Why plugins that were built for `released` would not run on a host of this contract.
    fn breaks(&self, released: &Self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.package != released.package {
            broken.push(format!("the package is {}", self.package));
        }
        for (name, was) in &released.interfaces {
            let Some(is) = self.interfaces.get(name) else {
                broken.push(format!("the interface {name} is gone"));
                continue;
            };
            for (item, was) in was {
                match is.get(item) {
                    None => broken.push(format!("{name}: {item} is gone")),
                    Some(is) if is == was => {}
                    Some(is) => broken.push(format!("{name}: '{was}' became '{is}'")),
                }
            }
            // The host would call it, and old plugins do not have it.
            for (item, text) in is {
                let new = !was.contains_key(item) && text.contains(": func");
                if new && !IMPORTED.contains(&name.as_str()) {
                    broken.push(format!(
                        "{name}: the function {item} is new; give it an interface of its own, which the host looks for"
                    ));
                }
            }
        }
        for (name, was) in &released.worlds {
            // A world may import more; what it exports, every plugin of it has.
            let is = self.worlds.get(name).cloned().unwrap_or_default();
            let gone =
                was.difference(&is).map(|item| format!("the world {name}: '{item}' is gone"));
            let more = is.difference(was).filter(|item| item.starts_with("export"));
            let more =
                more.map(|item| format!("the world {name}: '{item}', which old plugins do not"));
            broken.extend(gone.chain(more));
        }
        broken
    }
}

/// The items of a block, which end with `;` or with their own block, each with single spaces.
fn items(text: &str) -> Vec<String> {
    let (mut items, mut item, mut depth) = (Vec::new(), String::new(), 0);
    for letter in text.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        item.push(letter);
        let block = letter == '}' && !item.trim_start().starts_with("use ");
        if depth == 0 && (letter == ';' || block) {
            let plain: Vec<&str> = item.trim_end_matches(';').split_whitespace().collect();
            if !plain.is_empty() {
                items.push(plain.join(" "));
            }
            item.clear();
        }
    }
    assert!(depth == 0 && item.trim().is_empty(), "not read: {item}");
    items
}

/// `record field { ... }` is called `field`, `log: func(...)` is `log`, and a `use` is called as it stands.
fn name_of(item: &str) -> String {
    match item.split_once(": func") {
        Some((name, _)) => name.to_owned(),
        None if item.starts_with("use ") => item.to_owned(),
        None => item.split(' ').nth(1).unwrap().to_owned(),
    }
}

#[test]
fn what_is_released_stays() {
    let broken = Contract::read(TODAY).breaks(&Contract::read(RELEASED));
    assert!(
        broken.is_empty(),
        "plugins that were built for 1.0.0 would be refused:\n{}",
        broken.join("\n")
    );
}

#[test]
fn every_breaking_change_is_found() {
    let released = Contract::read(RELEASED);
    let changes = [
        // A field more in a record, a case more, another order, another type.
        (
            "record field { name: string, required: bool }",
            "record field { name: string, required: bool, label: string }",
        ),
        ("integer, number, boolean", "integer, number, decimal, boolean"),
        ("enum verdict { mapped, skipped, failed }", "enum verdict { skipped, mapped, failed }"),
        ("batch: u32,", "batch: u64,"),
        ("cells: list<u64> }", "cells: list<u32> }"),
        // Functions.
        (
            "lookup: func(kind: string, keys: list<string>)",
            "lookup: func(kind: string, keys: list<string>, most: u32)",
        ),
        ("describe: func() -> result<description, string>;", "describe: func() -> description;"),
        ("configure: func(settings: string)", "prepare: func(settings: string)"),
        (
            "map-batch: func(context: context, batch: string) -> string;",
            "map-batch: func(context: context, batch: string) -> string; flush: func();",
        ),
        // Worlds and the package.
        (
            "world json-mapper { import host; export about; export json; }",
            "world json-mapper { import host; export about; export json; export table; }",
        ),
        ("world json-mapper { import host; export about; export json; }", ""),
        ("kilofold:mapping@1.0.0", "kilofold:mapping@2.0.0"),
        ("kilofold:mapping@1.0.0", "kilofold:maps@1.0.0"),
    ];
    for (from, to) in changes {
        assert_eq!(TODAY.matches(from).count(), 1, "{from}");
        let broken = Contract::read(&TODAY.replace(from, to)).breaks(&released);
        assert!(!broken.is_empty(), "not found: {to}");
    }
}

#[test]
fn additions_are_allowed() {
    let released = Contract::read(RELEASED);
    let changes = [
        ("kilofold:mapping@1.0.0", "kilofold:mapping@1.1.0"),
        (
            "enum level { debug, info, warn, error }",
            "enum level { debug, info, warn, error } random: func() -> u64;",
        ),
        (
            "enum verdict { mapped, skipped, failed }",
            "enum verdict { mapped, skipped, failed } record more { n: u32 }",
        ),
        (
            "world table-mapper",
            "interface after { done: func(); } world after-mapper { export after; } world table-mapper",
        ),
    ];
    for (from, to) in changes {
        assert_eq!(TODAY.matches(from).count(), 1, "{from}");
        assert_eq!(
            Contract::read(&TODAY.replace(from, to)).breaks(&released),
            Vec::<String>::new(),
            "{to}"
        );
    }
}
