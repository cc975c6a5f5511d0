//! Compiled plugins, kept by digest in a folder that only its owner can write.
//!
//! What lies here is run as machine code, so the folder is checked each time it is opened, and entries carry a checksum.

use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::error::Error;
use super::private;

const MAGIC: &[u8; 16] = b"kilofold code 1\n";
/// What the folder may hold; beyond it the entries that were written first go. A plugin that is built again and again
/// leaves one each time.
const MOST: u64 = 1 << 30;

/// A folder of compiled plugins.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    /// Tells settings and releases of the engine apart.
    engine: u64,
}

impl Cache {
    /// Opens the folder, and makes it if it is not there.
    pub(super) fn open(path: &Path, engine: &Engine) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Cache { path: path.to_owned(), reason };
        private::open_folder(path).map_err(wrong)?;
        let mut hasher = Xxh3::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { path: path.to_owned(), engine: hasher.finish() })
    }

    /// The compiled form of the component with this digest; none when it is not there, damaged or of another engine.
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let bytes = fs::read(self.path.join(self.entry_name(digest))).ok()?;
        let (head, code) = bytes.split_at_checked(32)?;
        if head[..16] != *MAGIC || head[16..] != xxh3_128(code).to_le_bytes() {
            return None;
        }
        // SAFETY: the code was made by this engine's compiler (`store` is the only writer, the name carries the
        // engine's compatibility hash, and the checksum holds), in a folder that nobody else can write (`private::open_folder`).
        unsafe { Component::deserialize(engine, code) }.ok()
    }

    /// Keeps a compiled component. A failure to do so only costs time later.
    pub(super) fn store(&self, digest: &str, code: &[u8]) -> Result<(), Error> {
        let wrong = |reason: String| Error::Cache { path: self.path.clone(), reason };
        let parts = [MAGIC.as_slice(), &xxh3_128(code).to_le_bytes(), code];
        let write = || private::write(&self.path, &self.entry_name(digest), &parts);
        write().and_then(|()| prune(&self.path, MOST)).map_err(|error| wrong(error.to_string()))
    }

    fn entry_name(&self, digest: &str) -> String {
        format!("{digest}-{:016x}.bin", self.engine)
    }
}

/// Deletes the oldest entries of a folder until it holds at most so many bytes; the newest stays whatever its size.
fn prune(path: &Path, most: u64) -> std::io::Result<()> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let about = entry.metadata()?;
        if entry.path().extension().is_some_and(|kind| kind == "bin") {
            entries.push((about.modified()?, about.len(), entry.path()));
        }
    }
    entries.sort();
    let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
    entries.pop();
    for (_, bytes, path) in entries {
        if total <= most {
            break;
        }
        fs::remove_file(path)?;
        total -= bytes;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_go() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize, age: u64| {
            let path = folder.path().join(name);
            fs::write(&path, vec![0; bytes]).unwrap();
            let at = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
            fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
        };
        write("a.bin", 50, 30);
        write("b.bin", 50, 20);
        write("c.bin", 200, 10);
        write("owner.txt", 500, 90);
        let left = || {
            let names = fs::read_dir(folder.path()).unwrap();
            let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        prune(folder.path(), 250).unwrap();
        assert_eq!(left(), ["b.bin", "c.bin", "owner.txt"]);
        prune(folder.path(), 100).unwrap();
        assert_eq!(left(), ["c.bin", "owner.txt"], "the newest stays");
    }
}
