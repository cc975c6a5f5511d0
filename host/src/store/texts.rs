//! The texts of a block: records as Salesforce sent them, and bodies as what sets them apart from their record. Pure.
//!
//! A body that a plugin made of a record is mostly the record's own values between other names. So what lies between the
//! values is written once a block and kind; of a value that the record has as well, only which one it is, and that too but
//! once for as long as it stays that one. A body of half a kilobyte leaves some eighty bytes to compress.
//!
//! | section | holds, text by text |
//! |---|---|
//! | own bytes | whole texts, and the values that are not the record's |
//! | heads | its record unless that is the one before; of a text that is written whole its length; of a body its kind, for the first of its kind what lies between its values, which values of the record its own are from now on, a bit a value that is not that one, and the lengths of those |
//! | end | the number of texts and the length of the heads, in four bytes each, and the mark of the format |

mod read;
#[cfg(test)]
mod tests;

pub(super) use read::Texts;

use super::codec::Put;
use crate::model::{Body, RecordId, Span};

/// The first fifteen characters of a record's id.
pub(super) type Owner = [u8; 15];

/// How a payload ends: one of the first format ends with a text.
const FORMAT: [u8; 2] = [2, 0];
/// A record, written whole.
const RECORD: u64 = 0;
/// A body, written whole.
const BODY: u64 = 1;
/// A body of the first kind, told apart from its record; the other kinds follow.
const MADE: u64 = 2;

/// A record, as bodies are told apart from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// The values in it that hold no others, in order; see [`crate::model::leaves`]. None when they are not known.
    pub(super) leaves: &'a [Span],
    /// Where it begins in the text that the values are told of.
    pub(super) base: usize,
}

impl<'a> Raw<'a> {
    fn leaf(&self, n: usize) -> Option<&'a [u8]> {
        let range = self.leaves.get(n)?.range();
        self.text
            .as_bytes()
            .get(range.start.checked_sub(self.base)?..range.end.checked_sub(self.base)?)
    }
}

/// The bodies of one kind.
#[derive(Debug)]
struct Kind {
    number: u16,
    /// What lies between the values of a body, piece behind piece, and where each piece ends.
    between: Vec<u8>,
    ends: Vec<usize>,
    /// Of each value, the leaf of the record, from 1, that it is; 0: none is known.
    sources: Vec<u64>,
}

impl Kind {
    /// Whether a body has the same between its values as the first one.
    fn is_of(&self, body: &Body) -> bool {
        let mut start = 0;
        let same = |(gap, end): (&[u8], &usize)| {
            gap == &self.between[std::mem::replace(&mut start, *end)..*end]
        };
        body.values().len() == self.sources.len() && gaps(body).zip(&self.ends).all(same)
    }
}

/// Writes the texts of a block.
#[derive(Debug, Default)]
pub(super) struct Writer<'a> {
    count: u32,
    own: Vec<u8>,
    heads: Vec<u8>,
    owner: Owner,
    /// The last text that is a record's.
    raw: Option<(Owner, Raw<'a>)>,
    kinds: Vec<Kind>,
    scratch: Scratch,
}

/// What is found out about a body before its head is written.
#[derive(Debug, Default)]
struct Scratch {
    learned: Vec<(usize, u64)>,
    bits: Vec<u8>,
    lens: Vec<usize>,
}

impl<'a> Writer<'a> {
    /// How many texts there are.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// No texts yet; what is in `room` is written over.
    pub(super) fn new(room: Vec<u8>) -> Self {
        let mut writer = Self { own: room, ..Self::default() };
        writer.own.clear();
        writer
    }

    /// Its room, to be used again.
    pub(super) fn into_room(self) -> Vec<u8> {
        self.own
    }

    /// About how many bytes they take, before they are compressed.
    pub(super) fn bytes(&self) -> usize {
        self.heads.len() + self.own.len()
    }

    /// Adds a record and tells its number.
    pub(super) fn add_raw(&mut self, id: &RecordId, raw: Raw<'a>) -> u32 {
        let owner = owner(id);
        self.raw = Some((owner, raw));
        self.whole(RECORD, owner, raw.text)
    }

    /// Adds a body and tells its number. It is told apart from its record when that was the last one to be added.
    pub(super) fn add_body(&mut self, id: &RecordId, kind: u16, body: &Body) -> u32 {
        let owner = owner(id);
        match self.raw {
            Some((of, raw)) if of == owner && fits(body) && !raw.leaves.is_empty() => {
                self.made(owner, raw, kind, body)
            }
            _ => self.whole(BODY, owner, body),
        }
    }

    fn whole(&mut self, form: u64, owner: Owner, text: &str) -> u32 {
        self.head(form, owner);
        self.heads.number(text.len() as u64);
        self.own.extend_from_slice(text.as_bytes());
        self.added()
    }

    fn made(&mut self, owner: Owner, raw: Raw<'a>, number: u16, body: &Body) -> u32 {
        let values = body.values();
        let found = self.kinds.iter().position(|kind| kind.number == number);
        if found.is_some_and(|at| !self.kinds[at].is_of(body)) {
            // Bodies of one kind differ in nothing but their values; if ever not, they are kept all the same.
            return self.whole(BODY, owner, body);
        }
        let at = found.unwrap_or(self.kinds.len());
        self.head(MADE + at as u64, owner);
        if found.is_none() {
            let mut kind = Kind {
                number,
                between: Vec::new(),
                ends: Vec::new(),
                sources: vec![0; values.len()],
            };
            self.heads.number(values.len() as u64);
            for gap in gaps(body) {
                self.heads.bytes(gap);
                kind.between.extend_from_slice(gap);
                kind.ends.push(kind.between.len());
            }
            self.kinds.push(kind);
        }
        let Self { kinds, scratch, own, heads, .. } = self;
        let sources = &mut kinds[at].sources;
        scratch.clear(values.len());
        for (n, value) in values.iter().enumerate() {
            let text = &body.as_bytes()[value.range()];
            let source = &mut sources[n];
            if *source == 0
                && tells(text)
                && let Some(leaf) = (0..raw.leaves.len()).find(|&leaf| raw.leaf(leaf) == Some(text))
            {
                *source = leaf as u64 + 1;
                scratch.learned.push((n, *source));
            }
            if *source == 0 || raw.leaf(*source as usize - 1) != Some(text) {
                scratch.bits[n / 8] |= 1 << (n % 8);
                scratch.lens.push(text.len());
                own.extend_from_slice(text);
            }
        }
        heads.number(scratch.learned.len() as u64);
        for (n, source) in &scratch.learned {
            heads.number(*n as u64);
            heads.number(*source);
        }
        heads.extend_from_slice(&scratch.bits);
        scratch.lens.iter().for_each(|len| heads.number(*len as u64));
        self.added()
    }

    /// Writes how a text is written, and whose it is.
    fn head(&mut self, form: u64, owner: Owner) {
        let known = self.count > 0 && self.owner == owner;
        self.heads.number(form << 1 | u64::from(known));
        if !known {
            let shared = self.owner.iter().zip(&owner).take_while(|(a, b)| a == b).count();
            self.heads.push(shared as u8);
            self.heads.extend_from_slice(&owner[shared..]);
        }
        self.owner = owner;
    }

    fn added(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    /// Hands over the payload of all texts, The writer is as new afterwards, but keeps its room.
    pub(super) fn take<T>(&mut self, hand: impl FnOnce(&[u8]) -> T) -> T {
        let Self { count, mut own, mut heads, scratch, .. } = std::mem::take(self);
        own.extend_from_slice(&heads);
        own.extend_from_slice(&count.to_le_bytes());
        own.extend_from_slice(&(heads.len() as u32).to_le_bytes());
        own.extend_from_slice(&FORMAT);
        let handed = hand(&own);
        own.clear();
        heads.clear();
        *self = Self { own, heads, scratch, ..Self::default() };
        handed
    }
}

impl Scratch {
    fn clear(&mut self, values: usize) {
        self.learned.clear();
        self.lens.clear();
        self.bits.clear();
        self.bits.resize(values.div_ceil(8), 0);
    }
}

/// What lies between the values of a body: one piece more than there are values.
fn gaps(body: &Body) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = body
        .values()
        .iter()
        .map(|value| value.range())
        .chain(std::iter::once(body.len()..body.len()));
    ends.map(move |value| &body.as_bytes()[std::mem::replace(&mut start, value.end)..value.start])
}

/// Whether the values of a body are known, and lie in it as they should.
fn fits(body: &Body) -> bool {
    let mut end = 0;
    let in_order = body.values().iter().all(|value| {
        let range = value.range();
        let fits = end <= range.start;
        end = range.end;
        fits
    });
    in_order && end <= body.len() && !body.values().is_empty()
}

/// Whether two values that are this one are hardly so by chance.
fn tells(value: &[u8]) -> bool {
    value.len() > 3 && !matches!(value, b"null" | b"true" | b"false")
}

fn owner(id: &RecordId) -> Owner {
    let mut owner = [0; 15];
    owner.copy_from_slice(&id.as_bytes()[..15]);
    owner
}
