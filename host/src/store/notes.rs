//! Notes: small texts that must outlive this process from one moment to the next, long before sled's flush returns.
//!
//! A note is a file of its own, written with one call into the system's memory: a killed process does not take it along,
//! though a power cut may. What it says is stored durably right after that, and the note is then deleted.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use super::Store;
use super::disk::io_error;
use super::error::Error;

impl Store {
    fn note_path(&self, name: &str) -> PathBuf {
        let mut file = String::from("note.");
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                    file.push(char::from(byte))
                }
                other => file.push_str(&format!("%{other:02x}")),
            }
        }
        self.0.folder.join(file)
    }

    /// Puts a text down under a name, in place of the former; an empty one deletes it.
    pub fn put_note(&self, name: &str, text: &[u8]) -> Result<(), Error> {
        let path = self.note_path(name);
        let io = |source| io_error("putting down a note", source);
        if text.is_empty() {
            return match fs::remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(io(error)),
                _ => Ok(()),
            };
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(io)?;
        file.write_all(text).map_err(io)
    }

    /// The note of this name, if there is one.
    pub fn note(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match fs::read(self.note_path(name)) {
            Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("reading a note", error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;

    #[test]
    fn a_note_stays_until_it_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::open(folder.path(), &Options::default()).unwrap();
        let store = open();
        assert_eq!(store.note("connection/a.b").unwrap(), None);
        store.put_note("connection/a.b", b"a longer one").unwrap();
        store.put_note("connection/a.b", b"short").unwrap();
        store.put_note("../other", b"inside").unwrap();
        drop(store);
        let store = open();
        assert_eq!(store.note("connection/a.b").unwrap().as_deref(), Some(&b"short"[..]));
        assert_eq!(store.note("connection/a/b").unwrap(), None);
        assert_eq!(store.note("../other").unwrap().as_deref(), Some(&b"inside"[..]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(store.note_path("../other")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        store.put_note("connection/a.b", b"").unwrap();
        store.put_note("connection/a.b", b"").unwrap();
        assert_eq!(store.note("connection/a.b").unwrap(), None);
    }
}
