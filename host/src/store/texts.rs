//! The texts of a block: records as Salesforce sent them, and bodies as what sets them apart from their record. Pure.
//!
//! Records of one page are the same values between the same names, and a body that a plugin made of a record is mostly the
//! record's own values between other names. So what lies between the values is written once a block and shape. Of a
//! record's value that the record before it has as well, nothing is written but that it does; of a body's value that its
//! record has, only which one it is, and that too but once for as long as it stays that one. Of a record of 1.2 KB and its
//! body of half a kilobyte some 600 bytes are left to compress, in little more than half of the time.
//!
//! | section | holds, text by text |
//! |---|---|
//! | own bytes | whole texts, and the values that are not known otherwise |
//! | heads | its record unless that is the one before; of a text that is written whole its length; of a record its shape, for the first of its shape what lies between its values, a bit a value that the one before does not have, and the lengths of those; of a body its kind, for the first of its kind what lies between its values, which values of the record its own are from now on, a bit a value that is not that one, and the lengths of those |
//! | end | the number of texts and the length of the heads, in four bytes each, and the mark of the format |

mod read;
mod shape;
#[cfg(test)]
mod tests;

pub(super) use read::Texts;
use shape::Shape;
pub(super) use shape::Valued;

use super::codec::Put;
use crate::model::{Body, RecordId};

/// The first fifteen characters of a record's id.
pub(super) type Owner = [u8; 15];

/// How a payload ends: one of the first format ends with a text.
const FORMAT: [u8; 2] = [3, 0];
/// A record, written whole.
const RECORD: u64 = 0;
/// A body, written whole.
const BODY: u64 = 1;
/// A record, told apart from the one before of its shape.
const SHAPED: u64 = 2;
/// A body of the first kind, told apart from its record; the other kinds follow.
const MADE: u64 = 3;
/// Shapes of records in a block; the records of further ones are written whole. A parent that is there or not makes two.
const SHAPES: usize = 32;

/// The records of one shape.
#[derive(Debug)]
struct Records<'a> {
    shape: Shape,
    /// The last of them.
    last: Valued<'a>,
}

/// The bodies of one kind.
#[derive(Debug)]
struct Kind {
    number: u16,
    shape: Shape,
    /// Of each value, the value of the record, from 1, that it is; 0: none is known.
    sources: Vec<u64>,
}

/// Writes the texts of a block.
#[derive(Debug, Default)]
pub(super) struct Writer<'a> {
    count: u32,
    own: Vec<u8>,
    heads: Vec<u8>,
    owner: Owner,
    /// The last text that is a record's.
    raw: Option<(Owner, Valued<'a>)>,
    records: Vec<Records<'a>>,
    /// Which of them had the last record.
    recent: usize,
    kinds: Vec<Kind>,
    scratch: Scratch,
}

/// What is found out about a text before its head is written.
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
    pub(super) fn add_raw(&mut self, id: &RecordId, raw: Valued<'a>) -> u32 {
        let owner = owner(id);
        self.raw = Some((owner, raw));
        if let Some(number) = self.shaped(owner, raw) {
            return number;
        }
        // A reader finds the values of a whole record by itself: bodies may be told apart from those, but from no others.
        if Shape::of(&raw).is_none() {
            self.raw = None;
        }
        self.whole(RECORD, owner, raw.text)
    }

    /// Adds a body and tells its number. It is told apart from its record when that was the last one to be added.
    pub(super) fn add_body(&mut self, id: &RecordId, kind: u16, body: &Body) -> u32 {
        let owner = owner(id);
        let raw = self.raw.filter(|(of, raw)| *of == owner && !raw.values.is_empty());
        let body = Valued { text: body, values: body.values(), base: 0 };
        let made = raw.and_then(|(_, raw)| self.made(owner, raw, kind, body));
        match made {
            Some(number) => number,
            None => self.whole(BODY, owner, body.text),
        }
    }

    fn whole(&mut self, form: u64, owner: Owner, text: &str) -> u32 {
        self.head(form, owner);
        self.heads.number(text.len() as u64);
        self.own.extend_from_slice(text.as_bytes());
        self.added()
    }

    /// Writes a record as what sets it apart from the one before of its shape; none when it has too strange a shape.
    fn shaped(&mut self, owner: Owner, raw: Valued<'a>) -> Option<u32> {
        let same = |records: &Records<'_>| records.shape.is_of(&raw);
        let recent = self.records.get(self.recent).filter(|recent| same(recent));
        let found = match recent {
            Some(_) => Some(self.recent),
            None => self.records.iter().position(same),
        };
        let new = match found {
            Some(_) => None,
            None if self.records.len() < SHAPES => Some(Shape::of(&raw)?),
            None => return None,
        };
        let at = found.unwrap_or(self.records.len());
        self.head(SHAPED, owner);
        self.heads.number(at as u64);
        let before = match new {
            None => Some(std::mem::replace(&mut self.records[at].last, raw)),
            Some(shape) => {
                shape.write(&mut self.heads);
                self.records.push(Records { shape, last: raw });
                None
            }
        };
        self.recent = at;
        let Self { scratch, own, heads, .. } = self;
        scratch.clear(raw.values.len());
        for n in 0..raw.values.len() {
            let value = raw.value(n).unwrap_or_default();
            if before.is_none_or(|before| !before.has(n, value)) {
                scratch.own(n, value, own);
            }
        }
        scratch.write(heads);
        Some(self.added())
    }

    /// Writes a body as what sets it apart from its record. None when its values are not known, or when it is not of the
    /// shape of the first body of its kind: bodies of one kind differ in nothing but their values; if ever not, they are
    /// kept all the same.
    fn made(
        &mut self,
        owner: Owner,
        raw: Valued<'a>,
        number: u16,
        body: Valued<'_>,
    ) -> Option<u32> {
        let found = self.kinds.iter().position(|kind| kind.number == number);
        let new = match found {
            Some(at) if self.kinds[at].shape.is_of(&body) => None,
            Some(_) => return None,
            None => Some(Shape::of(&body)?),
        };
        let at = found.unwrap_or(self.kinds.len());
        self.head(MADE + at as u64, owner);
        if let Some(shape) = new {
            shape.write(&mut self.heads);
            self.kinds.push(Kind { number, shape, sources: vec![0; body.values.len()] });
        }
        let Self { kinds, scratch, own, heads, .. } = self;
        scratch.clear(body.values.len());
        for (n, source) in kinds[at].sources.iter_mut().enumerate() {
            let value = body.value(n).unwrap_or_default();
            if *source == 0
                && tells(value)
                && let Some(leaf) = (0..raw.values.len()).find(|&leaf| raw.has(leaf, value))
            {
                *source = leaf as u64 + 1;
                scratch.learned.push((n, *source));
            }
            if *source == 0 || !raw.has(*source as usize - 1, value) {
                scratch.own(n, value, own);
            }
        }
        heads.number(scratch.learned.len() as u64);
        for (n, source) in &scratch.learned {
            heads.number(*n as u64);
            heads.number(*source);
        }
        scratch.write(heads);
        Some(self.added())
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

    /// Hands over the payload of all texts. The writer is as new afterwards, but keeps its room.
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

    /// Value `n` is written.
    fn own(&mut self, n: usize, value: &[u8], to: &mut Vec<u8>) {
        self.bits[n / 8] |= 1 << (n % 8);
        self.lens.push(value.len());
        to.extend_from_slice(value);
    }

    /// Writes which values were written, and how long they are.
    fn write(&self, heads: &mut Vec<u8>) {
        heads.extend_from_slice(&self.bits);
        self.lens.iter().for_each(|len| heads.number(*len as u64));
    }
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
