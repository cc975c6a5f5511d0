//! gzip without compressing a page twice.
//!
//! A query answer is a short head that differs every time (the locator), the rendered records, which are cached, and
//! a closing brace. Deflate blocks can be put one after the other, so the cached compressed records are framed by two
//! stored blocks in one gzip member, and the checksum is combined.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress};

const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
/// The longest text that one stored block holds.
const STORED: usize = 0xffff;

/// Text as deflate blocks that end on a byte, none of them marked as the last.
#[derive(Debug)]
pub(crate) struct Deflated {
    blocks: Bytes,
    checksum: Crc,
}

impl Deflated {
    /// Compresses at the quickest level.
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut checksum = Crc::new();
        checksum.update(text);
        let mut deflate = Compress::new(Compression::fast(), false);
        let mut blocks = Vec::with_capacity(text.len() / 3 + 256);
        loop {
            let done = usize::try_from(deflate.total_in()).unwrap_or(usize::MAX).min(text.len());
            if blocks.capacity() == blocks.len() {
                blocks.reserve(text.len() / 8 + 256);
            }
            // Compression into memory has no way to fail; were it to, the client's checksum would say so.
            if let Err(error) =
                deflate.compress_vec(&text[done..], &mut blocks, FlushCompress::Sync)
            {
                tracing::error!(%error, "deflate");
                break;
            }
            let all_in = usize::try_from(deflate.total_in()).is_ok_and(|n| n >= text.len());
            if all_in && blocks.len() < blocks.capacity() {
                break;
            }
        }
        Deflated { blocks: blocks.into(), checksum }
    }
}

/// `head`, the compressed text and `tail` as one gzip member, in parts that share the compressed text's memory.
pub(crate) fn frame(head: &[u8], middle: &Deflated, tail: &[u8]) -> Vec<Bytes> {
    let mut checksum = Crc::new();
    checksum.update(head);
    checksum.combine(&middle.checksum);
    checksum.update(tail);

    let mut start = HEADER.to_vec();
    for part in head.chunks(STORED) {
        stored(part, false, &mut start);
    }
    let mut end = Vec::new();
    stored(tail.get(..STORED).unwrap_or(tail), true, &mut end);
    end.extend_from_slice(&checksum.sum().to_le_bytes());
    end.extend_from_slice(&checksum.amount().to_le_bytes());
    vec![start.into(), middle.blocks.clone(), end.into()]
}

/// One text as one gzip member.
pub(crate) fn whole(text: &[u8]) -> Vec<Bytes> {
    frame(&[], &Deflated::new(text), &[])
}

fn stored(part: &[u8], last: bool, out: &mut Vec<u8>) {
    let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
    out.push(u8::from(last));
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(part);
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn unzip(parts: &[Bytes]) -> Vec<u8> {
        let mut text = Vec::new();
        // GzDecoder reads one member only, and checks its checksum.
        flate2::read::GzDecoder::new(parts.concat().as_slice()).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn a_page_larger_than_a_block_survives() {
        let middle: Vec<u8> =
            (0..400_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        let head = vec![b'h'; 70_000];
        let framed = frame(&head, &Deflated::new(&middle), b"}");
        assert_eq!(unzip(&framed), [head.as_slice(), &middle, b"}"].concat());
    }

    proptest! {
        #[test]
        fn framing_is_lossless(head in any::<Vec<u8>>(), middle in any::<Vec<u8>>(), tail in any::<Vec<u8>>()) {
            let framed = frame(&head, &Deflated::new(&middle), &tail);
            prop_assert_eq!(unzip(&framed), [head, middle, tail].concat());
        }

        #[test]
        fn whole_is_lossless(text in any::<Vec<u8>>()) {
            prop_assert_eq!(unzip(&whole(&text)), text);
        }
    }
}
