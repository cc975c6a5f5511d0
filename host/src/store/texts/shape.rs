//! What lies between the values of texts: the same for many of them.

use memchr::arch::all::is_equal;

use crate::model::Span;
use crate::store::codec::Put;

/// A text, and where the values in it lie that hold no others.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Valued<'a> {
    /// The text.
    pub(in crate::store) text: &'a str,
    /// Its values, in order. None when they are not known.
    pub(in crate::store) values: &'a [Span],
    /// Where it begins in the text that the values are told of.
    pub(in crate::store) base: usize,
}

impl<'a> Valued<'a> {
    /// Value `n`.
    pub(super) fn value(&self, n: usize) -> Option<&'a [u8]> {
        let (start, end) = self.place(n)?;
        self.text.as_bytes().get(start..end)
    }

    /// Whether value `n` is this one.
    #[inline]
    pub(super) fn has(&self, n: usize, value: &[u8]) -> bool {
        self.value(n).is_some_and(|own| is_equal(own, value))
    }

    /// What lies between the values, one piece more than there are; none where they do not lie in the text, one behind the
    /// other.
    fn gaps(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let (text, mut start) = (self.text.as_bytes(), Some(0));
        let end = (text.len(), text.len());
        let places =
            (0..self.values.len()).map(|n| self.place(n)).chain(std::iter::once(Some(end)));
        places.map(move |place| {
            let (at, end) = place.unzip();
            text.get(std::mem::replace(&mut start, end)?..at?)
        })
    }

    fn place(&self, n: usize) -> Option<(usize, usize)> {
        let range = self.values.get(n)?.range();
        Some((range.start.checked_sub(self.base)?, range.end.checked_sub(self.base)?))
    }
}

/// What lies between the values of a text, piece behind piece, and where each piece ends: one more than there are values.
#[derive(Debug)]
pub(super) struct Shape {
    between: Vec<u8>,
    ends: Vec<usize>,
}

impl Shape {
    /// That of a text; none when its values are not known, or do not lie in it as they should.
    pub(super) fn of(text: &Valued<'_>) -> Option<Self> {
        if text.values.is_empty() {
            return None;
        }
        let mut shape = Self { between: Vec::new(), ends: Vec::new() };
        for gap in text.gaps() {
            shape.between.extend_from_slice(gap?);
            shape.ends.push(shape.between.len());
        }
        Some(shape)
    }

    /// Whether a text is of this shape. Its values then lie in it, one behind the other.
    pub(super) fn is_of(&self, text: &Valued<'_>) -> bool {
        let mut start = 0;
        let same = |(gap, &end): (Option<&[u8]>, &usize)| {
            let own = self.between.get(std::mem::replace(&mut start, end)..end);
            gap.zip(own).is_some_and(|(gap, own)| is_equal(gap, own))
        };
        self.ends.len() == text.values.len() + 1 && text.gaps().zip(&self.ends).all(same)
    }

    /// Writes the number of values, and what lies between them.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        to.number(self.ends.len() as u64 - 1);
        let mut start = 0;
        for &end in &self.ends {
            to.bytes(&self.between[std::mem::replace(&mut start, end)..end]);
        }
    }
}
