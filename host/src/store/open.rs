//! Opening, and the checks that a store must pass.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use super::block::{self, Packer};
use super::codec;
use super::disk::{Disk, Writes, io_error};
use super::error::Error;
use super::intents::Intents;
use super::layout::{Space, number_at};
use super::meta::{Meta, SyncState};
use super::names::Names;
use super::runs::read_run;
use super::{Inner, Store, Writer, arrivals, brief, feed, ledger};

/// How a store is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether records are kept as Salesforce sent them; those that failed always are.
    pub keep_raw: bool,
    /// Memory for what was read and may be read again, in bytes: three quarters for sled, one for unpacked blocks.
    pub cache_bytes: u64,
    /// The zstd level of blocks: 1 to 19, or negative for quicker and larger.
    pub compression: i32,
    /// For how many days the ledger keeps its sums.
    pub ledger_days: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_raw: true, cache_bytes: 32 << 20, compression: 1, ledger_days: 35 }
    }
}

/// The file that names the process that has the store open.
const OWNER: &str = "owner";
/// The file that holds the number of the last acknowledged commit.
const COMMIT: &str = "commit";
/// The file in which API calls are written down.
const INTENTS: &str = "intents";

impl Store {
    /// Opens the store in the folder `path`, made when it is not there, and checks that its parts fit each other.
    pub fn open(path: &Path, options: &Options) -> Result<Self, Error> {
        let io = |source| io_error("opening the store", source);
        fs::create_dir_all(path).map_err(io)?;
        let disk = open_disk(path, options)?;
        fs::write(path.join(OWNER), format!("{}\n", std::process::id())).map_err(io)?;

        let meta = match disk.get(&Meta::key())? {
            Some(payload) => Meta::read(&payload)?,
            None if disk.is_empty()? => {
                let mut writes = Writes::default();
                writes.put(Meta::key(), &Meta::default().write());
                disk.apply(writes)?;
                disk.flush()?;
                super::guard::sync_folder(path).map_err(io)?;
                Meta::default()
            }
            None => return Err(codec::unfit(&Meta::key(), "it is missing")),
        };
        let names = Names::load(&disk)?;
        brief::index_old(&disk, &names)?;
        check(&disk, &meta, acknowledged(path))?;
        let intents = Intents::open(&path.join(INTENTS), ledger::folded(&disk)?)?;
        let mut active = HashMap::new();
        for item in Space::Open.walk(&disk) {
            let (key, _) = item?;
            let run = number_at(&key, 1).ok_or_else(|| codec::unfit(&key, "it is no run"))?;
            let run = read_run(&disk, crate::model::RunId(run))?
                .ok_or_else(|| codec::unfit(&key, "its run is missing"))?;
            active.insert(run.id, run);
        }
        let arrivals = arrivals::last(&disk)?;
        let writer = Writer { meta, packer: Packer::new(options.compression)?, arrivals };
        let store = Self(Arc::new(Inner {
            disk,
            options: *options,
            folder: path.to_owned(),
            writer: Mutex::new(writer),
            names: RwLock::new(names),
            active: RwLock::new(active),
            blocks: block::Cache::new(options.cache_bytes / 4),
            feed_end: tokio::sync::watch::Sender::new(meta.feed_end),
            letters_asked: tokio::sync::watch::Sender::new(0),
            pins: Mutex::default(),
            consuming: Mutex::default(),
            dead: Mutex::default(),
            intents: Mutex::new(intents),
            memory: Mutex::default(),
        }));
        store.move_old_ledger()?;
        store.fold_calls()?;
        Ok(store)
    }

    /// Notes the number of an acknowledged commit beside the store.
    ///
    /// sled mends some kinds of damage by going back to an earlier commit without a word. The note is written only after a
    /// commit is durable, so it is never ahead of the store unless that has happened. It need not be durable itself.
    pub(super) fn acknowledge(&self, number: u64) {
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(false)
                .open(self.0.folder.join(COMMIT))?;
            file.write_all(format!("{number:020}\n").as_bytes())
        };
        if let Err(error) = write() {
            tracing::warn!(%error, "the number of the last commit could not be noted");
        }
    }
}

/// Opens sled; when it is in use, says by whom.
fn open_disk(path: &Path, options: &Options) -> Result<Disk, Error> {
    // sled's own threads let go of a store a moment after its last handle is gone, so a store that this very process held
    // is worth a little patience.
    const PATIENCE: Duration = Duration::from_secs(2);
    let begun = Instant::now();
    loop {
        let pid = match Disk::open(&path.join("sled"), options.cache_bytes / 4 * 3) {
            Err(Error::Locked { .. }) => fs::read_to_string(path.join(OWNER)).unwrap_or_default(),
            opened => return opened,
        };
        let pid = pid.trim();
        if pid != std::process::id().to_string() || begun.elapsed() > PATIENCE {
            let holder = if pid.is_empty() { String::new() } else { format!(" by process {pid}") };
            return Err(Error::Locked { path: path.to_owned(), holder });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn acknowledged(path: &Path) -> u64 {
    fs::read_to_string(path.join(COMMIT))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// Whether the ends of all sequences fit each other.
fn check(disk: &Disk, meta: &Meta, acknowledged: u64) -> Result<(), Error> {
    if acknowledged > meta.number {
        return Err(Error::Damaged {
            what: format!(
                "commit {acknowledged} was acknowledged, but the store ends at commit {}",
                meta.number
            ),
            cure: format!(
                "restore a backup; or delete the file '{COMMIT}' in the store's folder to go on from the older state: \
                 cursors and records still fit each other there, and what is missing is read again"
            ),
        });
    }
    let mut newest = 0;
    for item in Space::Sync.walk(disk) {
        let (key, payload) = item?;
        let state = SyncState::read(&key, &payload)?;
        newest = newest.max(state.number);
    }
    if newest != meta.number {
        return Err(Error::damaged(format!(
            "the last commit is {}, but the newest cursor is of commit {newest}",
            meta.number
        )));
    }
    let feed_end = feed::end_on_disk(disk)?;
    if feed_end != meta.feed_end {
        return Err(Error::damaged(format!(
            "the feed should end at {}, but ends at {feed_end}",
            meta.feed_end
        )));
    }
    let above = |space: Space, next: u64| -> Result<(), Error> {
        match disk.last(&space.prefix())? {
            Some((key, _)) if number_at(&key, 1).is_none_or(|last| last >= next) => {
                Err(codec::unfit(&key, &format!("it lies beyond the last one, {next}")))
            }
            _ => Ok(()),
        }
    };
    above(Space::Run, meta.next_run)?;
    // Keys beyond the last block are there already, but nothing is under them yet.
    for item in disk.from(&Space::Block.prefix(), &Space::Block.number(meta.next_block)) {
        let (key, payload) = item?;
        if !payload.is_empty() {
            let reason = format!("it lies beyond the last one, {}", meta.next_block);
            return Err(codec::unfit(&key, &reason));
        }
    }
    Ok(())
}
