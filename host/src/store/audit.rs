//! Shows every stored value, for the test that looks for secrets where none may be.

use super::error::Error;
use super::{Store, block, layout};

impl Store {
    /// Shows every key and value, as they are stored, joined where they are stored in parts, and unpacked where they are
    /// packed; `see` is told which one it is.
    #[doc(hidden)]
    pub fn audit(&self, see: &mut dyn FnMut(&str, &[u8])) -> Result<(), Error> {
        for item in self.0.disk.all(&[]) {
            let (key, payload) = item?;
            let what = layout::describe(&key);
            see(&what, &key);
            see(&what, &payload);
            // What is no long value, or not packed, gives an error here, which is none.
            let Ok(Some(whole)) = self.0.disk.get_long(&key) else { continue };
            see(&what, &whole);
            if let Ok(plain) = block::unpack(&key, &whole) {
                see(&what, &plain);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cached, Options};
    use super::*;

    #[test]
    fn shows_what_lies_packed_and_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap();
        let text = "needle in a haystack, ".repeat(20_000);
        let kept = Cached { bytes: text.clone().into_bytes(), last_modified: None };
        store.put_cached("describe", &kept).unwrap();
        // Not to be packed, so that it takes several parts.
        let mut noise: Vec<u8> =
            (0..200_000_u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 24) as u8).collect();
        noise.extend_from_slice(b"planted");
        store.put_secret("noise", &noise).unwrap();
        let (mut packed, mut parts) = (false, false);
        store
            .audit(&mut |_, value| {
                packed |= value.windows(text.len()).any(|part| part == text.as_bytes());
                parts |= value == noise;
            })
            .unwrap();
        assert!(packed && parts);
    }
}
