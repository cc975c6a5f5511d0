//! Salesforce ids.

use std::fmt;

/// A Salesforce id of 15 or 18 characters, its checksum proved when it has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<'a>(&'a str);

const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

impl<'a> Id<'a> {
    /// An id from its text, if it is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !matches!(bytes.len(), 15 | 18) || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        (bytes.len() == 15 || suffix(bytes) == bytes[15..]).then_some(Self(text))
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
        let suffix = suffix(self.0.as_bytes());
        let mut id = self.0[..15].to_owned();
        id.extend(suffix.iter().map(|it| char::from(*it)));
        id
    }
}

/// A bit for every capital in five characters, five bits to a character of the suffix.
fn suffix(id: &[u8]) -> [u8; 3] {
    [0, 5, 10].map(|from| {
        let bits = (0..5)
            .map(|at| usize::from(id[from + at].is_ascii_uppercase()) << at)
            .sum::<usize>();
        SUFFIX[bits]
    })
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
        assert_eq!(
            Id::parse("001D000000IRFma").unwrap().to_18(),
            "001D000000IRFmaIAH"
        );
        assert_eq!(Id::parse("001d000000irfmaIAH"), None);
        assert_eq!(Id::parse("001D000000IRFmaIA"), None);
        assert_eq!(Id::parse("001D000000IRFm!"), None);
        assert_eq!(Id::parse("001D000000IRFmé"), None);
    }
}
