//! Components that were used, kept by their digests in a folder that only the owner can write, so that going back to one
//! does not depend on anybody's file; and which sync uses which of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::catalog::{self, Source};
use super::error::Error;
use super::private;
use crate::model::{PluginNote, Stamp, SyncName};

/// Uses of a sync that are remembered.
const USES: usize = 16;
/// What the folder may hold in bytes, besides what syncs remember.
const MOST: u64 = 512 << 20;

/// The folder.
#[derive(Debug, Clone)]
pub struct Shelf {
    folder: PathBuf,
}

/// What a sync used, and what was chosen for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What it used, the oldest first.
    #[serde(default)]
    pub uses: Vec<Use>,
    /// What an operator chose for it, in place of what the configuration names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
}

/// A component that a sync used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Use {
    /// Its SHA-256, in hexadecimal.
    pub digest: String,
    /// Its name, as it told it.
    pub name: String,
    /// Its version, as it told it.
    pub version: String,
    /// Since when, by the local clock.
    pub since: Stamp,
}

/// A component that was chosen for a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// Its SHA-256, in hexadecimal.
    pub digest: String,
    /// What the configuration named then: once it names another plugin, the choice is void.
    pub instead_of: String,
    /// When it was chosen.
    pub at: Stamp,
}

impl Held {
    /// Remembers that a sync uses a component from now on; false when it did already.
    pub fn using(&mut self, note: &PluginNote, now: Stamp) -> bool {
        if self.uses.last().is_some_and(|last| last.digest == note.digest) {
            return false;
        }
        self.uses.push(Use {
            digest: note.digest.clone(),
            name: note.name.clone(),
            version: note.version.clone(),
            since: now,
        });
        let over = self.uses.len().saturating_sub(USES);
        self.uses.drain(..over);
        true
    }

    /// What was used before the component with this digest.
    pub fn before(&self, present: &str) -> Option<&Use> {
        self.uses.iter().rev().find(|one| one.digest != present)
    }

    /// Goes back to a former use: what came after it is forgotten.
    pub fn back_to(&mut self, digest: &str) {
        if let Some(at) = self.uses.iter().rposition(|one| one.digest == digest) {
            self.uses.truncate(at + 1);
        }
    }

    /// The choice, when the configuration still names what it was made for.
    pub fn chosen_for(&self, named: &str) -> Option<&Chosen> {
        self.chosen.as_ref().filter(|chosen| chosen.instead_of == named)
    }
}

impl Shelf {
    /// Opens the folder; makes it if it is not there, and refuses it if others may use it.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let wrong = |reason| Error::Shelf { path: folder.to_owned(), reason };
        private::open_folder(folder).map_err(wrong)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Reads a component whole, and tells its digest; at most `most` bytes.
    pub fn read(source: &Source, most: u64) -> Result<(Source, String), Error> {
        let loaded = catalog::read(source, most)?;
        Ok((Source::Bytes(source.to_string(), loaded.bytes), loaded.digest))
    }

    /// Keeps a component; tells its digest.
    pub fn keep(&self, source: &Source, most: u64) -> Result<String, Error> {
        let loaded = catalog::read(source, most)?;
        if !self.has(&loaded.digest) {
            let name = name(&loaded.digest);
            let kept = private::write(&self.folder, &name, &[&loaded.bytes]);
            kept.map_err(|error| self.wrong(error))?;
            self.prune();
        }
        Ok(loaded.digest)
    }

    /// Whether a component is kept.
    pub fn has(&self, digest: &str) -> bool {
        is_digest(digest) && self.folder.join(name(digest)).is_file()
    }

    /// Where a kept component lies. Load it with its digest: what is there is not trusted.
    pub fn source(&self, digest: &str) -> Source {
        Source::File(self.folder.join(name(digest)))
    }

    /// What is remembered of a sync.
    pub fn held(&self, sync: &SyncName) -> Result<Held, Error> {
        match fs::read(self.folder.join(held_name(sync))) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                let reason = format!("{} is damaged ({error}); delete it", held_name(sync));
                Error::Shelf { path: self.folder.clone(), reason }
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Held::default()),
            Err(error) => Err(self.wrong(error)),
        }
    }

    /// Remembers it.
    pub fn hold(&self, sync: &SyncName, held: &Held) -> Result<(), Error> {
        let text = serde_json::to_vec(held).map_err(|error| self.wrong(error.into()))?;
        let kept = private::write(&self.folder, &held_name(sync), &[&text]);
        kept.map_err(|error| self.wrong(error))
    }

    fn wrong(&self, error: std::io::Error) -> Error {
        Error::Shelf { path: self.folder.clone(), reason: error.to_string() }
    }

    /// Deletes the components that were kept first, until the others fit; those that a sync remembers stay.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let (mut remembered, mut kept, mut all) = (Vec::new(), Vec::new(), 0);
        for entry in entries.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            if file.ends_with(".json") {
                let text = fs::read(entry.path()).unwrap_or_default();
                let held: Held = serde_json::from_slice(&text).unwrap_or_default();
                remembered.extend(held.uses.into_iter().map(|one| name(&one.digest)));
                remembered.extend(held.chosen.map(|one| name(&one.digest)));
            } else if let Ok(about) = entry.metadata() {
                all += about.len();
                kept.push((about.modified().ok(), about.len(), file));
            }
        }
        kept.sort();
        // The newest was kept just now and is about to be used.
        kept.pop();
        for (_, len, file) in kept {
            if all > MOST
                && !remembered.contains(&file)
                && fs::remove_file(self.folder.join(file)).is_ok()
            {
                all -= len;
            }
        }
    }
}

fn name(digest: &str) -> String {
    format!("{digest}.wasm")
}

fn held_name(sync: &SyncName) -> String {
    format!("{sync}.json")
}

/// Whether this is a digest and nothing that leads elsewhere.
fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(digest: &str) -> PluginNote {
        let (name, version, api) = ("n".to_owned(), "1".to_owned(), "a".to_owned());
        PluginNote { name, version, digest: digest.to_owned(), api }
    }

    #[test]
    fn components_are_kept_whole_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        let shelf = Shelf::open(&path).unwrap();
        let one = Source::Bytes("x".into(), b"a component".to_vec());
        let digest = shelf.keep(&one, 100).unwrap();
        assert!(shelf.has(&digest) && !shelf.has("../x") && !shelf.has(&"0".repeat(64)));
        assert_eq!(shelf.keep(&shelf.source(&digest), 100).unwrap(), digest);
        assert!(shelf.keep(&one, 3).is_err());
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
        assert_eq!(Shelf::open(&path).unwrap_err().code(), "plugin.shelf");
    }

    #[test]
    fn uses_are_remembered_and_gone_back_to() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&folder.path().join("kept")).unwrap();
        let sync = SyncName::new("Contact").unwrap();
        let mut held = shelf.held(&sync).unwrap();
        assert!(held.before("a").is_none());
        for digest in ["a", "b", "b", "c"] {
            let known = held.uses.last().is_some_and(|last| last.digest == digest);
            assert_eq!(held.using(&note(digest), Stamp(1)), !known);
        }
        held.chosen =
            Some(Chosen { digest: "c".into(), instead_of: "./x.wasm".into(), at: Stamp(2) });
        shelf.hold(&sync, &held).unwrap();
        assert_eq!(shelf.held(&sync).unwrap(), held);
        assert!(held.chosen_for("./x.wasm").is_some() && held.chosen_for("./y.wasm").is_none());
        assert_eq!(held.before("c").unwrap().digest, "b");
        held.back_to("b");
        assert_eq!(held.before("b").unwrap().digest, "a");
        for n in 0..40 {
            held.using(&note(&n.to_string()), Stamp(n));
        }
        assert_eq!((held.uses.len(), held.uses[0].digest.as_str()), (USES, "24"));
        fs::write(folder.path().join("kept/Contact.json"), b"{").unwrap();
        let error = shelf.held(&sync).unwrap_err().to_string();
        assert!(error.contains("Contact.json is damaged"), "{error}");
    }
}
