//! How every stored value is framed: a format byte, a checksum over key and payload, the payload.
//!
//! The key is part of the sum, so a value that turns up under another key is found out too.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::error::Error;
use super::layout;

/// The format that this program writes, and the latest that it reads.
pub(super) const VERSION: u8 = 1;
/// Bytes in front of every payload.
pub(super) const HEAD: usize = 5;

fn sum(key: &[u8], payload: &[u8]) -> [u8; 4] {
    let whole = xxh3_64_with_seed(payload, xxh3_64(key) ^ u64::from(VERSION));
    let [a, b, c, d, ..] = whole.to_le_bytes();
    [a, b, c, d]
}

/// The value to store for this payload under this key.
pub(super) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::new();
    seal_into(&mut value, key, payload);
    value
}

/// The same in a buffer, which is written over.
pub(super) fn seal_into(value: &mut Vec<u8>, key: &[u8], payload: &[u8]) {
    value.clear();
    value.reserve(HEAD + payload.len());
    value.push(VERSION);
    value.extend_from_slice(&sum(key, payload));
    value.extend_from_slice(payload);
}

/// The payload of a stored value; the error names tree and key when it does not fit.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Error> {
    let (head, payload) = value
        .split_at_checked(HEAD)
        .ok_or_else(|| unfit(key, "it is shorter than its own header"))?;
    if head[0] > VERSION && head[0] < 64 {
        return Err(Error::Newer {
            what: layout::describe(key),
            found: u64::from(head[0]),
            known: u64::from(VERSION),
        });
    }
    if head[0] != VERSION || head[1..] != sum(key, payload) {
        return Err(unfit(key, "its checksum does not fit"));
    }
    Ok(payload)
}

/// The error of a value whose payload cannot be read.
pub(super) fn unfit(key: &[u8], reason: &str) -> Error {
    Error::damaged(format!("{}: {reason}", layout::describe(key)))
}

/// Appends payloads.
pub(super) trait Put {
    /// A whole number, in as few bytes as it needs.
    fn number(&mut self, value: u64);
    /// A number that may be negative.
    fn signed(&mut self, value: i64);
    /// Bytes, after their length.
    fn bytes(&mut self, value: &[u8]);
}

impl Put for Vec<u8> {
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        self.extend_from_slice(value);
    }
}

/// Reads payloads; every step is checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl<'a> Take<'a> {
    /// A whole number.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A whole number that fits 32 bits.
    pub(super) fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A whole number that fits 16 bits.
    pub(super) fn short(&mut self) -> Option<u16> {
        u16::try_from(self.number()?).ok()
    }

    /// A number that may be negative.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let folded = self.number()?;
        Some(((folded >> 1) as i64) ^ -((folded & 1) as i64))
    }

    /// This many bytes.
    pub(super) fn exactly(&mut self, len: usize) -> Option<&'a [u8]> {
        let (found, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(found)
    }

    /// Eight bytes as a number.
    pub(super) fn fixed(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.exactly(8)?.try_into().ok()?))
    }

    /// Bytes after their length.
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.number()?).ok()?;
        self.exactly(len)
    }

    /// Text after its length.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}
