//! Where everything lies: the keys of the one sled tree.
//!
//! One tree, because a batch on one tree is sled's quickest atomic step; the first byte of a key tells the logical tree.
//! Names of syncs and kinds are stored once and stand as small numbers in keys. A record's key holds the first fifteen
//! characters of its id, which determine the last three.

use crate::model::RecordId;

/// A logical tree: the first byte of its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Space {
    /// Format, commit number, ends of the sequences: one value.
    Meta = b'm',
    /// (class, name) -> number.
    Name = b'n',
    /// sync -> cursor, commit number, counts.
    Sync = b's',
    /// sync -> the plugins that made what is stored of it, and the remap in hand.
    Mapping = b'g',
    /// (sync, first id) -> entries of some sixteen records.
    Record = b'r',
    /// (sync, kind, key) -> id, for outputs whose key is not their record's id.
    Index = b'i',
    /// (sync, id) -> nothing, for records that failed.
    Failed = b'x',
    /// block -> texts of records or bodies of outputs.
    Block = b'b',
    /// block / 256 -> how many of each block's texts are in use.
    Live = b'l',
    /// first sequence number -> feed entries of one batch.
    Feed = b'e',
    /// run -> record of the run.
    Run = b'u',
    /// (sync, run) -> the run in brief, once it has ended.
    RunOf = b'v',
    /// (sync, standing, run) -> nothing, once it has ended; alone: that old runs are listed here too.
    RunAs = b'w',
    /// run -> nothing, while it has no ending.
    Open = b'o',
    /// (run, page) -> note.
    Page = b'p',
    /// (run, first n) -> failures of one batch.
    Failure = b'f',
    /// batch that brought something -> what it brought, of the last ones.
    Arrival = b'h',
    /// name -> sealed bytes.
    Secret = b'k',
    /// entry -> call: the ledger as it was kept before [`Space::Ledger`]; moved over when a store is opened.
    Call = b'j',
    /// digest -> the fields of an object.
    Schema = b'd',
    /// (part, minute or hour) -> calls; see ledger.rs.
    Ledger = b'a',
    /// name -> describe answers and the like.
    Cache = b'c',
    /// sync's name -> why, while it is paused.
    Paused = b'z',
    /// name -> how far a reader of the feed has come.
    Consumer = b'q',
    /// name -> how a destination of deliveries stands.
    Delivery = b'y',
    /// (name, number) -> a change that a destination did not take.
    Dead = b't',
}

impl Space {
    /// The first key of the tree.
    pub(super) fn prefix(self) -> Vec<u8> {
        vec![self as u8]
    }

    /// A key of these parts.
    pub(super) fn key(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
        key.push(self as u8);
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }

    /// A key of one number.
    pub(super) fn number(self, number: u64) -> Vec<u8> {
        self.key(&[&number.to_be_bytes()])
    }

    /// A key of two numbers.
    pub(super) fn pair(self, first: u64, second: u64) -> Vec<u8> {
        self.key(&[&first.to_be_bytes(), &second.to_be_bytes()])
    }

    /// A key of a name, closed so that no name is the beginning of another.
    pub(super) fn name(self, name: &str) -> Vec<u8> {
        self.key(&[name.replace('\0', " ").as_bytes(), &[0]])
    }

    /// A key of a sync and a record.
    pub(super) fn record(self, sync: u16, id: &RecordId) -> Vec<u8> {
        self.key(&[&sync.to_be_bytes(), &id.as_bytes()[..15]])
    }
}

/// The key of an output in the index.
pub(super) fn index(sync: u16, kind: u16, key: &str) -> Vec<u8> {
    Space::Index.key(&[&sync.to_be_bytes(), &kind.to_be_bytes(), key.as_bytes()])
}

/// The number that begins at byte `at` of a key.
pub(super) fn number_at(key: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(at..at + 8)?.try_into().ok()?))
}

/// The record of a key of a sync and a record.
pub(super) fn id_of(key: &[u8]) -> Option<RecordId> {
    id_from(key.get(3..18)?)
}

/// The record of these fifteen characters.
pub(super) fn id_from(short: &[u8]) -> Option<RecordId> {
    std::str::from_utf8(short).ok().and_then(|text| RecordId::parse(text).ok())
}

/// A key for people: its tree and what it stands for.
pub(super) fn describe(key: &[u8]) -> String {
    let tree = match key.first() {
        Some(b'm') => "meta",
        Some(b'n') => "names",
        Some(b's') => "cursors",
        Some(b'g') => "makers",
        Some(b'r') => "records",
        Some(b'i') => "outputs",
        Some(b'x') => "failed records",
        Some(b'b') => "blocks",
        Some(b'l') => "block counts",
        Some(b'e') => "feed",
        Some(b'u') => "runs",
        Some(b'v') => "runs by sync",
        Some(b'w') => "runs by outcome",
        Some(b'o') => "open runs",
        Some(b'p') => "pages",
        Some(b'f') => "failures",
        Some(b'h') => "arrivals",
        Some(b'k') => "secrets",
        Some(b'j' | b'a') => "ledger",
        Some(b'c') => "describe cache",
        Some(b'd') => "schemas",
        Some(b'z') => "pauses",
        Some(b'q') => "consumers",
        Some(b'y') => "deliveries",
        Some(b't') => "dead letters",
        _ => "unknown tree",
    };
    let rest = key.get(1..).unwrap_or_default();
    let (numbers, text) = match key.first() {
        Some(b'r' | b'x') => rest.split_at(rest.len().min(2)),
        Some(b'i') => rest.split_at(rest.len().min(4)),
        Some(b'n' | b'k' | b'c' | b'd' | b'z' | b'q' | b'y' | b't') => (&[][..], rest),
        Some(b'a') => {
            let (part, number) = rest.split_at(rest.len().min(1));
            (number, part)
        }
        _ => (rest, &[][..]),
    };
    let mut shown = String::new();
    if !numbers.is_empty() {
        let width = if numbers.len() % 8 == 0 { 8 } else { 2 };
        let parts: Vec<String> = numbers
            .chunks(width)
            .map(|part| part.iter().fold(0u64, |sum, &byte| sum << 8 | u64::from(byte)).to_string())
            .collect();
        shown = parts.join("/");
    }
    if !text.is_empty() {
        shown = format!("{shown} {}", String::from_utf8_lossy(text).trim_end_matches('\0'));
    }
    format!("{tree}, key {}", shown.trim())
}
