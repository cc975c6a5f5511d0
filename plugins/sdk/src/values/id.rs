//! Salesforce ids.

use std::fmt;

/// A Salesforce id of 15 or 18 characters, its checksum proved when it has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<'a>(&'a str);

const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

impl<'a> Id<'a> {
    /// An id from its text, if it is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (id, suffix) = text.as_bytes().split_first_chunk::<15>()?;
        let capitals = capitals(id)?;
        let sound = match suffix {
            [] => true,
            suffix => suffix == spell(capitals),
        };
        sound.then_some(Self(text))
    }

    /// The id as it came.
    #[inline]
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    /// The first three characters, which name the object.
    pub fn prefix(&self) -> &'a str {
        &self.0[..3]
    }

    /// The id in 18 characters, which stays unique where case is ignored.
    pub fn to_18(&self) -> String {
        let mut id = self.0[..15].to_owned();
        if let Some(capitals) = self.0.as_bytes().first_chunk().and_then(capitals) {
            id.extend(spell(capitals).map(char::from));
        }
        id
    }
}

/// What a byte is: 3 a capital, 2 another letter or a digit, 0 what no id has.
const CLASSES: [u8; 256] = {
    let (mut classes, mut byte) = ([0; 256], 0);
    while byte < 256 {
        let it = byte as u8;
        classes[byte] = if it.is_ascii_uppercase() {
            3
        } else if it.is_ascii_alphanumeric() {
            2
        } else {
            0
        };
        byte += 1;
    }
    classes
};

/// A bit for every capital, if these are all letters and digits.
#[inline]
fn capitals(id: &[u8; 15]) -> Option<usize> {
    let (mut capitals, mut sound) = (0, 2);
    for (at, byte) in id.iter().enumerate() {
        let class = CLASSES[usize::from(*byte)];
        capitals |= usize::from(class & 1) << at;
        sound &= class;
    }
    (sound != 0).then_some(capitals)
}

/// Five bits to a character of the suffix.
#[inline]
fn spell(capitals: usize) -> [u8; 3] {
    [0, 5, 10].map(|from| SUFFIX[(capitals >> from) & 31])
}

impl AsRef<str> for Id<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proves_the_checksum() {
        // Ids from Salesforce's own documentation.
        let id = Id::parse("001D000000IRFmaIAH").unwrap();
        assert_eq!(id.prefix(), "001");
        assert_eq!(Id::parse("001D000000IRFma").unwrap().to_18(), "001D000000IRFmaIAH");
        assert_eq!(Id::parse("001d000000irfmaIAH"), None);
        assert_eq!(Id::parse("001D000000IRFmaIA"), None);
        assert_eq!(Id::parse("001D000000IRFm!"), None);
        assert_eq!(Id::parse("001D000000IRFmé"), None);
    }
}
