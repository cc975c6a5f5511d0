//! The codes of everything that can go wrong, and what `kilofold explain CODE` says of each.

mod codes;

use std::process::ExitCode;

use crate::plugin;

/// What a code means and what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explained {
    /// The stable code.
    pub code: &'static str,
    /// It in a few words.
    pub title: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub cure: &'static str,
}

/// How the program ends, documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It did not.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A connection to Salesforce is missing, or must be made again.
    NotConnected = 3,
    /// A limit paused it; it goes on later.
    Paused = 4,
    /// The store is in use, damaged, or cannot be written.
    Store = 5,
    /// It was interrupted.
    Interrupted = 130,
}

impl Exit {
    /// All of them with what they say, as `--help` lists them.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Done, "done"),
        (Self::Failed, "failed"),
        (Self::Usage, "wrong usage, or a fault in the configuration"),
        (Self::NotConnected, "not connected, or to be connected again"),
        (Self::Paused, "paused by a limit; it goes on later"),
        (Self::Store, "the store is in use, damaged or cannot be written"),
        (Self::Interrupted, "interrupted; what was committed stays"),
    ];

    /// The exit that belongs to a code, by its first word.
    pub fn of(code: &str) -> Self {
        match code.split('.').next().unwrap_or_default() {
            "usage" | "config" => Self::Usage,
            "auth" | "connection" => Self::NotConnected,
            "limit" | "quota" => Self::Paused,
            "store" => Self::Store,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What is known of a code.
pub fn explain(code: &str) -> Option<Explained> {
    all().find(|known| known.code == code)
}

/// Every code, room by room, the plugins' own last..
pub fn all() -> impl Iterator<Item = Explained> {
    codes::all().chain(plugin::EXPLANATIONS.iter().map(|known| {
        Explained {
            code: known.code,
            title: known
                .meaning
                .split_terminator(['.', ':', ';', ','])
                .next()
                .unwrap_or("a plugin's fault"),
            meaning: known.meaning,
            cure: known.cure,
        }
    }))
}

/// Codes that are like this word, the likest first, for 'did you mean'.
pub fn similar(word: &str) -> Vec<&'static str> {
    let word = word.to_ascii_lowercase();
    let parts: Vec<&str> = word.split(['.', '-', '_', ' ']).filter(|part| part.len() > 2).collect();
    let likeness = |code: &str| parts.iter().filter(|part| code.contains(**part)).count();
    let mut codes: Vec<_> =
        all().map(|known| known.code).filter(|code| likeness(code) > 0).collect();
    codes.sort_by_key(|code| std::cmp::Reverse(likeness(code)));
    codes.truncate(5);
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_known_once() {
        let mut codes: Vec<_> = all().map(|known| known.code).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }

    /// Every code that some `fn code` in the source gives is explained.
    #[test]
    fn every_code_in_the_source_is_explained() {
        let mut missing = Vec::new();
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ext| ext == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    missing.extend(given(&text).into_iter().filter(|code| explain(code).is_none()));
                }
            }
        }
        missing.sort();
        missing.dedup();
        assert!(missing.is_empty(), "no explanation of {missing:?}");
    }

    /// The quoted codes in the bodies of functions named `code` and in calls of `Failure::new`.
    fn given(source: &str) -> Vec<String> {
        let bodies =
            source.split("fn code(").skip(1).map(|rest| rest.split("\n    }").next().unwrap());
        let calls = source
            .split("Failure::new(")
            .skip(1)
            .map(|rest| rest.split([',', ')']).next().unwrap());
        let quoted = bodies.chain(calls).flat_map(|text| text.split('"').skip(1).step_by(2));
        let code = |text: &&str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.contains('.')
                && text.chars().all(|c| c.is_ascii_lowercase() || "._-".contains(c))
        };
        quoted.filter(code).map(str::to_owned).collect()
    }

    #[test]
    fn finds_codes_in_source() {
        let source = "fn code(&self) -> &str {\n        \"a.b\"\n    }\n \"no.code\" Failure::new(\"c.d-e\", x)";
        assert_eq!(given(source), ["a.b", "c.d-e"]);
    }

    #[test]
    fn the_likest_code_comes_first() {
        assert_eq!(similar("store.lock").first(), Some(&"store.locked"));
        assert!(similar("xyz").is_empty());
    }

    #[test]
    fn a_code_leads_to_its_exit() {
        let exits =
            ["config.key", "auth.reconnect", "limit.daily", "store.damaged", "plugin.panic"];
        let wanted = [Exit::Usage, Exit::NotConnected, Exit::Paused, Exit::Store, Exit::Failed];
        assert_eq!(exits.map(Exit::of), wanted);
        assert_eq!(Exit::ALL.map(|(exit, _)| exit as u8), [0, 1, 2, 3, 4, 5, 130]);
    }
}
