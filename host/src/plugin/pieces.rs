//! Puts a text together of many short pieces of others.
//!
//! A batch is some twenty thousand values of a dozen bytes each, and they are put together twice: for the plugin, and as the
//! bodies that it makes. To copy a number of bytes that is not known costs more to begin than to do; so thirty-two are
//! copied for a short piece, and what is too much is written over by the next one. That takes a third less time.

use std::ops::Range;
use std::str::Utf8Error;

use bytes::Bytes;

use super::text::{escape, unescape};
use crate::model::{Text, specials};

/// Bytes that are copied for a short piece.
const STEP: usize = 32;

/// A text that is put down again and again.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    text: String,
    /// Its bytes, when they are few enough for one step.
    step: Option<[u8; STEP]>,
}

impl Piece {
    pub(super) fn new(text: String) -> Self {
        let mut step = [0; STEP];
        let room = step.get_mut(..text.len());
        let step = room.map(|room| room.copy_from_slice(text.as_bytes())).map(|()| step);
        Self { text, step }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A text in the making.
pub(super) struct Pieces {
    /// The text up to `end`, and room behind it.
    bytes: Vec<u8>,
    end: usize,
}

impl Pieces {
    /// No text yet, and room for so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes + STEP], end: 0 }
    }

    /// How many bytes the text has.
    pub(super) fn len(&self) -> usize {
        self.end
    }

    /// Takes away what is behind the first so many bytes.
    pub(super) fn cut(&mut self, len: usize) {
        self.end = self.end.min(len);
    }

    /// Adds a text.
    #[inline]
    pub(super) fn push(&mut self, text: &str) {
        let room = self.room(text.len());
        room[..text.len()].copy_from_slice(text.as_bytes());
        self.end += text.len();
    }

    /// Adds a piece.
    #[inline]
    pub(super) fn push_piece(&mut self, piece: &Piece) {
        match &piece.step {
            Some(step) => self.push_short(step, piece.text.len()),
            None => self.push(&piece.text),
        }
    }

    /// Adds a stretch of a text. None, and nothing added, when it does not lie in the text or cuts a character.
    #[inline(always)]
    pub(super) fn push_part(&mut self, text: &str, part: Range<usize>) -> Option<()> {
        let piece = text.get(part.clone())?;
        match step(text, part.start) {
            Some(step) if piece.len() <= STEP => self.push_short(step, piece.len()),
            _ => self.push(piece),
        }
        Some(())
    }

    /// Adds a stretch of a text as it stands between the quotes of a JSON string. None, and nothing added, when it does not
    /// lie in the text or cuts a character.
    #[inline]
    pub(super) fn push_part_escaped(&mut self, text: &str, part: Range<usize>) -> Option<()> {
        let piece = text.get(part.clone())?;
        match step(text, part.start) {
            Some(step) if piece.len() <= STEP && is_plain(step, piece.len()) => {
                self.push_short(step, piece.len());
            }
            _ => escape(piece, |part| self.push(part)),
        }
        Some(())
    }

    /// Adds the text that JSON spells so between quotes.
    pub(super) fn push_unescaped(&mut self, escaped: &str) {
        unescape(escaped, |part| self.push(part));
    }

    /// The text.
    pub(super) fn into_text(mut self) -> Result<Text, Utf8Error> {
        self.bytes.truncate(self.end);
        Text::new(Bytes::from(self.bytes))
    }

    #[inline]
    fn push_short(&mut self, step: &[u8; STEP], len: usize) {
        if let Some(room) = self.room(STEP).first_chunk_mut() {
            *room = *step;
            self.end += len;
        }
    }

    /// The room behind the text, of at least so many bytes.
    #[inline]
    fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < len {
            self.grow(len);
        }
        &mut self.bytes[self.end..]
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        self.bytes.resize(self.bytes.len() * 2 + len, 0);
    }
}

/// The bytes of a text from here on, when there are enough of them.
#[inline]
fn step(text: &str, start: usize) -> Option<&[u8; STEP]> {
    text.as_bytes().get(start..)?.first_chunk()
}

/// Whether the first so many bytes stand in a JSON string as they are.
#[inline]
fn is_plain(step: &[u8; STEP], len: usize) -> bool {
    let (halves, _) = step.as_chunks::<16>();
    let found = halves.iter().rev().fold(0, |found, half| found << 16 | u64::from(specials(half)));
    found & ((1 << len) - 1) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A text, where the pieces of it begin and end, and whether they are escaped.
    fn pieces() -> impl Strategy<Value = (String, Vec<(usize, usize, bool)>)> {
        let text = "(\\PC|[\"\\\\\n\u{1}\u{1f} ]|[a-z]{0,30}){0,40}";
        (text, prop::collection::vec((0_usize..90, 0_usize..60, any::<bool>()), 0..30))
    }

    proptest! {
        #[test]
        fn pieces_make_the_text((text, parts) in pieces(), room in 0_usize..200) {
            let (mut made, mut wanted) = (Pieces::with_room(room), String::new());
            for (start, len, escaped) in parts {
                let part = start..start + len;
                let piece = text.get(part.clone());
                let json = piece.map(|piece| serde_json::to_string(piece).unwrap());
                let pushed = if escaped {
                    made.push_part_escaped(&text, part)
                } else {
                    made.push_part(&text, part)
                };
                prop_assert_eq!(pushed.is_some(), piece.is_some());
                wanted += match &json {
                    Some(json) if escaped => &json[1..json.len() - 1],
                    _ => piece.unwrap_or_default(),
                };
                prop_assert_eq!(made.len(), wanted.len());
            }
            let half = (0..=wanted.len() / 2).rev().find(|&at| wanted.is_char_boundary(at)).unwrap();
            let mut again = Pieces::with_room(0);
            again.push_piece(&Piece::new(wanted.clone()));
            again.cut(half);
            again.push("end");
            prop_assert_eq!(String::from(again.into_text().unwrap()), format!("{}end", &wanted[..half]));
            prop_assert_eq!(String::from(made.into_text().unwrap()), wanted);
        }
    }
}
