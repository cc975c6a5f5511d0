//! Blocks: records and the bodies that were made of them, some hundred texts together, compressed.
//!
//! A block is written once. A count of its texts that are still in use is kept (256 blocks' counts to a key), and a block
//! that nothing uses any more is removed by the commit that took its last use away.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::codec::{self, Put, Take};
use super::disk::{Disk, Writes, part_key};
use super::error::Error;
use super::layout::Space;
use super::texts::{Texts, Valued, Writer};
use crate::model::{Body, RecordId};

/// Texts are gathered until a block has this many bytes.
const FULL: usize = 128 * 1024;
/// The longest text that unpacking will make.
const LONGEST: usize = 1 << 30;
/// So many numbers of blocks ahead have their keys before their blocks. sled writes all values of a node anew when it cuts
/// the node in two, and appended blocks have each node cut again and again: a block was written three times. A node whose
/// keys are there already is not cut.
const SHELF: u64 = 128;
/// Counts to a key.
const GROUP: u64 = 256;

/// Where a text lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// The block.
    pub(super) block: u64,
    /// Its number in the block.
    pub(super) index: u32,
}

/// Packs bytes, in buffers that stay.
pub(super) struct Packer {
    compressor: zstd::bulk::Compressor<'static>,
    packed: Vec<u8>,
    /// Where the texts of a block are gathered.
    texts: Vec<u8>,
}

impl Packer {
    /// A packer of this zstd level (negative: quicker).
    pub(super) fn new(level: i32) -> Result<Self, Error> {
        let compressor = zstd::bulk::Compressor::new(level.clamp(-50, 19))
            .map_err(|source| Error::Io { doing: "preparing compression", source })?;
        Ok(Self { compressor, packed: Vec::new(), texts: Vec::new() })
    }

    /// Its packed form, behind its length.
    pub(super) fn pack(&mut self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let Self { compressor, packed, .. } = self;
        packed.clear();
        packed.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        compressor
            .compress_to_buffer(plain, packed)
            .map_err(|source| Error::Io { doing: "compressing", source })?;
        let mut payload = Vec::with_capacity(packed.len() + 5);
        payload.number(plain.len() as u64);
        payload.extend_from_slice(packed);
        Ok(payload)
    }
}

thread_local! {
    /// Making one costs more than unpacking a block.
    static UNPACKER: RefCell<Option<zstd::bulk::Decompressor<'static>>> =
        RefCell::new(zstd::bulk::Decompressor::new().ok());
}

/// What [`Packer::pack`] packed.
pub(super) fn unpack(key: &[u8], payload: &[u8]) -> Result<Vec<u8>, Error> {
    let mut take = Take(payload);
    let len = take
        .number()
        .and_then(|len| usize::try_from(len).ok())
        .filter(|&len| len <= LONGEST)
        .ok_or_else(|| codec::unfit(key, "its length cannot be"))?;
    let plain = UNPACKER
        .with_borrow_mut(|unpacker| match unpacker {
            Some(unpacker) => unpacker.decompress(take.0, len),
            None => zstd::bulk::decompress(take.0, len),
        })
        .map_err(|error| codec::unfit(key, &format!("it cannot be unpacked: {error}")))?;
    if plain.len() == len { Ok(plain) } else { Err(codec::unfit(key, "it is too short")) }
}

/// The changes that one commit makes to blocks.
pub(super) struct Blocks<'a> {
    disk: &'a Disk,
    packer: &'a mut Packer,
    /// The number of the next new block.
    pub(super) next: u64,
    /// The texts of the block in the making, and its number.
    texts: Writer<'a>,
    number: u64,
    /// Counts by group: uses * 2, + 1 when the block has several parts.
    live: HashMap<u64, Vec<u64>>,
    /// Blocks whose last use this commit takes away.
    dead: Vec<u64>,
}

impl<'a> Blocks<'a> {
    /// No changes yet; new blocks are numbered from `next`.
    pub(super) fn new(disk: &'a Disk, packer: &'a mut Packer, next: u64) -> Self {
        let texts = Writer::new(std::mem::take(&mut packer.texts));
        Self { disk, packer, next, texts, number: next, live: HashMap::new(), dead: Vec::new() }
    }

    /// Adds a record and tells where it is.
    pub(super) fn add_raw(
        &mut self,
        id: &RecordId,
        raw: Valued<'a>,
        writes: &mut Writes,
    ) -> Result<Place, Error> {
        self.open(raw.text.len(), writes)?;
        Ok(Place { block: self.number, index: self.texts.add_raw(id, raw) })
    }

    /// Adds a body and tells where it is. It takes least room right behind its record.
    pub(super) fn add_body(
        &mut self,
        id: &RecordId,
        kind: u16,
        body: &Body,
        writes: &mut Writes,
    ) -> Result<Place, Error> {
        self.open(body.len(), writes)?;
        Ok(Place { block: self.number, index: self.texts.add_body(id, kind, body) })
    }

    /// Makes sure of a block with room for a text; a full one goes to `writes`.
    fn open(&mut self, len: usize, writes: &mut Writes) -> Result<(), Error> {
        if self.texts.count() > 0 && self.texts.bytes() + len > FULL {
            self.close(writes)?;
        }
        if self.texts.count() == 0 {
            self.number = self.next;
            self.next += 1;
            self.make_room()?;
        }
        Ok(())
    }

    /// Makes the keys of the next shelf when the first block of this one comes.
    fn make_room(&self) -> Result<(), Error> {
        if !self.number.is_multiple_of(SHELF) {
            return Ok(());
        }
        let from = if self.number == 0 { 1 } else { self.number + SHELF };
        (from..self.number + 2 * SHELF)
            .try_for_each(|block| self.disk.make_room(Space::Block.number(block)))
    }

    fn close(&mut self, writes: &mut Writes) -> Result<(), Error> {
        if self.texts.count() == 0 {
            return Ok(());
        }
        let texts = u64::from(self.texts.count());
        let Self { texts: writer, packer, .. } = self;
        let packed = writer.take(|payload| packer.pack(payload))?;
        let parts = writes.put_long(Space::Block.number(self.number), &packed);
        *self.count(self.number)? = texts * 2 + u64::from(parts > 1);
        Ok(())
    }

    /// One text is no longer used.
    pub(super) fn release(&mut self, place: Place) -> Result<(), Error> {
        let count = self.count(place.block)?;
        if *count < 2 {
            let key = Space::Live.number(place.block / GROUP);
            return Err(codec::unfit(&key, &format!("block {} has no uses left", place.block)));
        }
        *count -= 2;
        if *count < 2 {
            self.dead.push(place.block);
        }
        Ok(())
    }

    fn count(&mut self, block: u64) -> Result<&mut u64, Error> {
        let group = block / GROUP;
        let counts = match self.live.entry(group) {
            std::collections::hash_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                let key = Space::Live.number(group);
                let mut counts = match self.disk.get(&key)? {
                    Some(payload) => read_counts(&key, &payload)?,
                    None => Vec::new(),
                };
                counts.resize(GROUP as usize, 0);
                free.insert(counts)
            }
        };
        Ok(&mut counts[(block % GROUP) as usize])
    }

    /// Writes the blocks in hand and the counts, removes blocks without uses, and tells the next block's number.
    pub(super) fn finish(mut self, writes: &mut Writes) -> Result<u64, Error> {
        self.close(writes)?;
        self.packer.texts = std::mem::take(&mut self.texts).into_room();
        for block in std::mem::take(&mut self.dead) {
            let count = self.count(block)?;
            let parts = *count == 1;
            *count = 0;
            if parts {
                remove_parts(self.disk, block, writes)?;
            }
            writes.remove(Space::Block.number(block));
        }
        for (group, counts) in &self.live {
            let key = Space::Live.number(*group);
            if counts.iter().all(|&count| count == 0) {
                writes.remove(key);
                continue;
            }
            let used = counts.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
            let mut payload = Vec::with_capacity(used + 2);
            payload.number(used as u64);
            counts[..used].iter().for_each(|&count| payload.number(count));
            writes.put(key, &payload);
        }
        Ok(self.next)
    }
}

pub(super) fn read_counts(key: &[u8], payload: &[u8]) -> Result<Vec<u64>, Error> {
    let mut take = Take(payload);
    take.number()
        .filter(|&used| used <= GROUP)
        .and_then(|used| (0..used).map(|_| take.number()).collect())
        .ok_or_else(|| codec::unfit(key, "it cannot be read"))
}

fn remove_parts(disk: &Disk, block: u64, writes: &mut Writes) -> Result<(), Error> {
    let key = Space::Block.number(block);
    if let Some(head) = disk.get(&key)? {
        for n in 1..Take(&head).short().unwrap_or(1) {
            writes.remove(part_key(&key, n));
        }
    }
    Ok(())
}

/// An unpacked block.
pub(super) struct Block {
    number: u64,
    texts: Texts,
    /// Memory that it takes.
    bytes: usize,
}

impl Block {
    pub(super) fn read(number: u64, key: &[u8], payload: Vec<u8>) -> Result<Self, Error> {
        let texts = Texts::read(payload).ok_or_else(|| codec::unfit(key, "it cannot be read"))?;
        let bytes = texts.bytes();
        Ok(Self { number, texts, bytes })
    }

    /// The text at this place, which must belong to this record.
    pub(super) fn text(&self, index: u32, id: &RecordId) -> Result<String, Error> {
        self.texts.text(index, id).ok_or_else(|| {
            let key = Space::Block.number(self.number);
            codec::unfit(&key, &format!("text {index} is not one of record {id}"))
        })
    }
}

/// The blocks that readers used last.
pub(super) struct Cache {
    /// Bytes that they may take; the last one stays whatever it takes.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    blocks: VecDeque<Arc<Block>>,
    bytes: usize,
}

impl Cache {
    /// Keeps blocks of so many bytes.
    pub(super) fn new(most: u64) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), kept: Mutex::default() }
    }

    /// The block of this number; none when it is not stored (any more).
    pub(super) fn block(&self, disk: &Disk, number: u64) -> Result<Option<Arc<Block>>, Error> {
        if let Some(held) = self.kept().used(number) {
            return Ok(Some(held));
        }
        let key = Space::Block.number(number);
        let Some(packed) = disk.get_long(&key)? else { return Ok(None) };
        let block = Arc::new(Block::read(number, &key, unpack(&key, &packed)?)?);
        self.kept().keep(block.clone(), self.most);
        Ok(Some(block))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The block of this number, which is now the one used last.
    fn used(&mut self, number: u64) -> Option<Arc<Block>> {
        let at = self.blocks.iter().position(|block| block.number == number)?;
        let block = self.blocks.remove(at)?;
        self.blocks.push_back(block.clone());
        Some(block)
    }

    fn keep(&mut self, block: Arc<Block>, most: usize) {
        self.bytes += block.bytes;
        self.blocks.push_back(block);
        while self.bytes > most && self.blocks.len() > 1 {
            self.bytes -= self.blocks.pop_front().map_or(0, |gone| gone.bytes);
        }
    }
}
