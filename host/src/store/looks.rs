//! Makes sled 0.34.7 keep to the size of its cache.
//!
//! sled counts the looks at its pages in 256 shards, by page, and lets pages go only when 64 looks have come together in a
//! shard. A walk looks at a page once and at its sixteen values without another look, so each shard gathered 64 pages
//! before one went: a walk over a store kept all of up to 16,000 pages, 400 KB each where blocks lie, and the size of the
//! cache changed nothing. So who reads a value looks at it some more times, the more the larger it is, and sled lets go.
//!
//! Measured with a sled of the shape of a store of 1,500,000 records and a cache of 64 MB: a walk over records and their
//! blocks took 191 MB, and 45 MB with the looks; blocks in any order 360 MB, and 73 MB. A look takes about a microsecond.

/// Bytes of values that may be read between two looks.
const BYTES: usize = 256;
/// Looks after which a shard lets go in any case.
const MOST: usize = 64;

/// How many more looks a value of so many bytes wants.
pub(super) fn after(len: usize) -> usize {
    (len / BYTES).min(MOST)
}
