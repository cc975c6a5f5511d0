//! The readers of stored values, for fuzzing: whatever bytes the disk gives back, they answer and never panic.

use super::block::{Block, read_counts, unpack};
use super::codec::{Take, open, seal};
use super::entry::Entry;
use super::groups;
use super::intents::Line;
use super::layout::Space;
use super::meta::{Meta, SyncState};
use super::minutes::{Hour, Minute};
use crate::model::RecordId;

/// The longest text that is unpacked here; a reader would take more, but a fuzzer gains nothing from it.
const LONGEST: u64 = 1 << 20;

/// Reads the bytes as every kind of stored value. Panics when a reader contradicts itself.
pub fn read(data: &[u8]) {
    let key = Space::Block.number(7);
    if let Ok(payload) = open(&key, data) {
        assert_eq!(seal(&key, payload), data, "an opened value is the sealed one");
    }
    let sealed = seal(&key, data);
    assert!(open(&key, &sealed).is_ok_and(|payload| payload == data), "a sealed value opens");
    let mut damaged = sealed;
    let at = data.first().map_or(0, |byte| usize::from(*byte) % damaged.len());
    damaged[at] ^= 1 << (data.len() % 8);
    assert!(open(&key, &damaged).is_err(), "a changed value does not open");

    if let Some(entry) = Entry::parse(data) {
        assert_eq!(Entry::parse(&entry.write()), Some(entry), "an entry is read as it was written");
    }
    for (_, range) in groups::parse(data).unwrap_or_default() {
        assert!(data.get(range).is_some(), "an entry lies within its group");
    }
    if let Ok(meta) = Meta::read(data) {
        let again = Meta::read(&meta.write());
        assert!(again.is_ok_and(|again| again.write() == meta.write()), "meta is read as written");
    }
    if let Some(line) = Line::read(data) {
        assert_eq!(Line::read(&line.write()), Some(line), "a line is read as it was written");
    }
    if let Ok(minute) = Minute::read(data) {
        assert_eq!(Minute::read(&minute.write()), Ok(minute), "a minute is read as it was written");
    }
    if let Ok(hour) = Hour::read(data) {
        assert_eq!(Hour::read(&hour.write()), Ok(hour), "an hour is read as it was written");
    }
    // Nothing is known of these but that they come back.
    drop((SyncState::read(&key, data), read_counts(&key, data)));
    if Take(data).number().is_some_and(|len| len <= LONGEST) {
        drop(unpack(&key, data));
    }
    block(&key, data);
}

fn block(key: &[u8], data: &[u8]) {
    let Ok(block) = Block::read(7, key, data.to_vec()) else { return };
    // Ids stand behind the first byte in the first format, and anywhere in the second.
    let ids = data.windows(15).filter_map(|id| std::str::from_utf8(id).ok());
    for id in ids.filter_map(|id| RecordId::parse(id).ok()).take(4) {
        for n in 0..4 {
            drop(block.text(n, &id));
        }
    }
}
