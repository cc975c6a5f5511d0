//! API calls that are about to be made, written down before they are: a small file of fixed slots beside sled.
//!
//! A call must be on record before its request leaves, and a write to sled that a kill cannot undo costs a sync of the
//! disk, about a millisecond. Here it is one write of 64 bytes to a place that the file already has: about a
//! microsecond. The system has it then, so a process that dies at any moment loses nothing of it, and a full disk cannot
//! refuse it. It is not synced: a power cut can lose the calls since the last fold. What Salesforce counts itself tells
//! of those.
//!
//! Lines are numbered without gaps and only ever added; line n stands in slot n mod [`SLOTS`]. A call that was not sent
//! after all is a second line that takes the first one back. The ledger (ledger.rs) folds lines into sled, together with
//! the number of the last one, in the atomic step of whatever is stored next; then their slots are free. What a dead
//! process left in the file is folded when the store is opened.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::disk::io_error;
use super::error::Error;
use super::minutes::Key;
use crate::model::{Purpose, RunId, Stamp};

/// How many lines the file holds.
pub(super) const SLOTS: u64 = 4096;
/// Bytes of a slot: none lies across two sectors.
const SLOT: usize = 64;
/// The format of a slot.
const FORMAT: u8 = 1;
/// Where the checksum of a slot begins.
const SUM: usize = SLOT - 8;

/// One call, or its taking back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    /// Counts up from 1 over the life of the store.
    pub(super) number: u64,
    /// Whether it takes a call back.
    pub(super) back: bool,
    /// When the call was made.
    pub(super) at: Stamp,
    /// Whose it is, and what for.
    pub(super) key: Key,
}

impl Line {
    pub(super) fn write(&self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        slot[0] = FORMAT;
        slot[1] = u8::from(self.back);
        slot[2] = self.key.purpose as u8;
        slot[3] = u8::from(self.key.backfill);
        slot[4..6].copy_from_slice(&self.key.connection.to_le_bytes());
        slot[6..8]
            .copy_from_slice(&self.key.sync.map_or(0, |sync| sync.saturating_add(1)).to_le_bytes());
        slot[8..16].copy_from_slice(&self.number.to_le_bytes());
        slot[16..24].copy_from_slice(&self.at.0.to_le_bytes());
        slot[24..32].copy_from_slice(&self.key.run.map_or(0, |run| run.0).to_le_bytes());
        slot[32..34].copy_from_slice(&self.key.saved.to_le_bytes());
        let sum = xxh3_64(&slot[..SUM]);
        slot[SUM..].copy_from_slice(&sum.to_le_bytes());
        slot
    }

    /// None for a slot that was never written, or not whole.
    pub(super) fn read(slot: &[u8]) -> Option<Self> {
        let slot: &[u8; SLOT] = slot.try_into().ok()?;
        let eight = |at: usize| slot[at..at + 8].try_into().ok().map(u64::from_le_bytes);
        let two = |at: usize| u16::from_le_bytes([slot[at], slot[at + 1]]);
        if slot[0] != FORMAT || eight(SUM)? != xxh3_64(&slot[..SUM]) {
            return None;
        }
        Some(Self {
            number: eight(8)?,
            back: slot[1] != 0,
            at: Stamp(i64::from_le_bytes(slot[16..24].try_into().ok()?)),
            key: Key {
                connection: two(4),
                sync: two(6).checked_sub(1),
                purpose: *Purpose::ALL.get(usize::from(slot[2]))?,
                backfill: slot[3] != 0,
                saved: two(32),
                run: Some(eight(24)?).filter(|run| *run > 0).map(RunId),
            },
        })
    }
}

/// The file, and its lines that are not in sled yet.
#[derive(Debug)]
pub(super) struct Intents {
    file: File,
    next: u64,
    waiting: VecDeque<Line>,
}

impl Intents {
    /// Opens the file, made where it is not there. What it holds behind line `folded` waits for the next fold.
    pub(super) fn open(path: &Path, folded: u64) -> Result<Self, Error> {
        let io = |source| io_error("opening the ledger of API calls", source);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(io)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let found: Vec<Line> = bytes.chunks(SLOT).filter_map(Line::read).collect();
        let (lines, lost) = unfolded(found, folded);
        if lost > 0 {
            tracing::warn!(
                lost,
                "lines of the ledger of API calls cannot be read; each is counted as a call"
            );
        }
        let size = SLOTS * SLOT as u64;
        if bytes.len() as u64 != size {
            // Written, not only lengthened: a full disk must not meet a call later.
            write_at(&file, &vec![0; SLOTS as usize * SLOT], 0).map_err(io)?;
            file.set_len(size).map_err(io)?;
            for line in &lines {
                write_at(&file, &line.write(), offset(line.number)).map_err(io)?;
            }
            file.sync_all().map_err(io)?;
        }
        let next = lines.back().map_or(folded, |line| line.number) + 1;
        Ok(Self { file, next, waiting: lines })
    }

    /// Writes a line; false when the file is full and a fold must come first. A process that dies after this has the line.
    pub(super) fn add(&mut self, back: bool, at: Stamp, key: Key) -> Result<bool, Error> {
        if self.room() == 0 {
            return Ok(false);
        }
        let line = Line { number: self.next, back, at, key };
        write_at(&self.file, &line.write(), offset(line.number))
            .map_err(|source| io_error("writing down an API call", source))?;
        self.next += 1;
        self.waiting.push_back(line);
        Ok(true)
    }

    /// How many more lines can be written before a fold.
    pub(super) fn room(&self) -> u64 {
        SLOTS - self.waiting.len() as u64
    }

    /// The lines that are not in sled yet, in order.
    pub(super) fn waiting(&self) -> Vec<Line> {
        self.waiting.iter().copied().collect()
    }

    /// Frees the slots of the lines up to this number, which are durable elsewhere.
    pub(super) fn folded(&mut self, to: u64) {
        while self.waiting.front().is_some_and(|line| line.number <= to) {
            self.waiting.pop_front();
        }
    }
}

fn offset(number: u64) -> u64 {
    number % SLOTS * SLOT as u64
}

/// The lines behind `folded` without a gap, and how many of them cannot be read: such a one was a call, so it stands in
/// as one like its neighbour.
fn unfolded(mut found: Vec<Line>, folded: u64) -> (VecDeque<Line>, u64) {
    found.retain(|line| line.number > folded);
    found.sort_unstable_by_key(|line| line.number);
    let Some(last) = found.last().map(|line| line.number) else {
        return (VecDeque::new(), 0);
    };
    // An older store than the file: what lies further back was written over.
    let first = (folded + 1).max((last + 1).saturating_sub(SLOTS));
    let (mut lines, mut lost) = (VecDeque::new(), 0);
    let mut found = found.into_iter().peekable();
    let mut like = found.peek().copied();
    for number in first..=last {
        match found.next_if(|line| line.number == number) {
            Some(line) => {
                like = Some(line);
                lines.push_back(line);
            }
            None => {
                lost += 1;
                lines.extend(like.map(|line| Line { number, back: false, ..line }));
            }
        }
    }
    (lines, lost)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, offset)?;
        bytes = bytes.get(written..).unwrap_or_default();
        offset += written as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u16) -> Key {
        Key {
            connection: n % 3,
            sync: (n % 4).checked_sub(1),
            purpose: Purpose::ALL[usize::from(n) % Purpose::ALL.len()],
            backfill: n.is_multiple_of(2),
            saved: n % 5,
            run: Some(RunId(u64::from(n))).filter(|run| !run.0.is_multiple_of(7)),
        }
    }

    fn line(number: u64) -> Line {
        let n = u16::try_from(number % 1000).unwrap();
        Line {
            number,
            back: number.is_multiple_of(9),
            at: Stamp(1_000_000 + number as i64),
            key: key(n),
        }
    }

    /// Bytes that format 1 wrote: they are read for ever.
    #[test]
    fn format_1_is_read_for_ever() {
        let text: String = line(11).write().iter().map(|byte| format!("{byte:02x}")).collect();
        let wanted = "01000100020003000b000000000000004b420f00000000000b00000000000000010000000000000000000000000000000000\
                      0000000000007c7c2b7d9b1d0aa0";
        assert_eq!(text[..112], wanted[..112]);
        assert_eq!(Line::read(&line(11).write()), Some(line(11)));
    }

    proptest! {
        #[test]
        fn lines_come_back_and_damage_is_found(number in 1..u64::MAX, at in 0..SLOT, bit in 0..8u8) {
            let line = line(number);
            let mut slot = line.write();
            prop_assert_eq!(Line::read(&slot), Some(line));
            slot[at] ^= 1 << bit;
            prop_assert_eq!(Line::read(&slot), None);
            prop_assert_eq!(Line::read(&slot[..at]), None);
        }
    }

    #[test]
    fn a_file_goes_round_and_is_reopened_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("intents");
        let mut intents = Intents::open(&path, 0).unwrap();
        let mut number = 0;
        let mut add = |intents: &mut Intents, n: u64| {
            for _ in 0..n {
                number += 1;
                let Line { back, at, key, .. } = line(number);
                assert!(intents.add(back, at, key).unwrap());
            }
            number
        };
        add(&mut intents, SLOTS);
        assert!(!intents.add(false, Stamp(0), key(1)).unwrap(), "full");
        intents.folded(4000);
        assert_eq!(intents.room(), 4000);
        let last = add(&mut intents, 3000);
        // Killed here: what was folded stands in sled.
        for folded in [4000, 5000, last] {
            let again = Intents::open(&path, folded).unwrap();
            let wanted: Vec<Line> = (folded + 1..=last).map(line).collect();
            assert_eq!(again.waiting(), wanted);
            assert_eq!(again.next, last + 1);
        }
        // A store that is older than the file takes what the file still has.
        assert_eq!(Intents::open(&path, 10).unwrap().waiting().len() as u64, SLOTS);
        // One that is newer takes nothing, and numbers go on.
        assert_eq!(Intents::open(&path, 9000).unwrap().next, 9001);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_a_call() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("intents");
        let mut intents = Intents::open(&path, 0).unwrap();
        for number in 1..=5 {
            let Line { at, key, .. } = line(number);
            intents.add(false, at, key).unwrap();
        }
        // Torn by a power cut.
        write_at(&intents.file, &[0xff; 20], offset(3) + 16).unwrap();
        let lines = Intents::open(&path, 1).unwrap().waiting();
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[1].number, lines[1].back, lines[1].key), (3, false, line(2).key));
        // A file that was cut off is made whole again and loses nothing more.
        intents.file.set_len(5 * SLOT as u64).unwrap();
        let lines = Intents::open(&path, 1).unwrap().waiting();
        assert_eq!((lines.len(), lines[0].number), (3, 2));
        assert_eq!(std::fs::metadata(&path).unwrap().len(), SLOTS * SLOT as u64);
        assert_eq!(Intents::open(&path, 1).unwrap().waiting(), lines);
    }
}
