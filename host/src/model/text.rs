//! Text that is shared, and known to be UTF-8.

use std::fmt;
use std::ops::Deref;
use std::str::Utf8Error;

use bytes::Bytes;

/// A text that many hold without copies. It is checked once, when it is made: an answer is read, mapped and stored, and
/// each of these checking it anew took 6 % of a run's processor time.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Bytes);

impl Text {
    /// These bytes as text; the error tells where they are not UTF-8.
    pub fn new(bytes: Bytes) -> Result<Self, Utf8Error> {
        match simdutf8::basic::from_utf8(&bytes) {
            Ok(_) => Ok(Self(bytes)),
            Err(_) => std::str::from_utf8(&bytes).map(|_| Self(bytes.clone())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // SAFETY: the bytes were checked when `self` was made, and nothing can change them since.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Text> for String {
    /// Its bytes themselves when nobody else holds them.
    fn from(text: Text) -> Self {
        // SAFETY: the bytes were checked when `text` was made, and nothing can have changed them since.
        unsafe { Self::from_utf8_unchecked(text.0.into()) }
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_utf8_is_text(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = Text::new(Bytes::from(bytes.clone()));
            prop_assert_eq!(text.as_deref().ok(), std::str::from_utf8(&bytes).ok());
        }

        #[test]
        fn text_stays_as_it_is(text in any::<String>()) {
            let (taken, checked) = (Text::from(text.clone()), Text::new(Bytes::from(text.clone())));
            prop_assert_eq!(taken.as_str(), text.as_str());
            prop_assert_eq!(checked.as_ref(), Ok(&taken));
            prop_assert_eq!(String::from(checked.unwrap()), text);
        }
    }
}
