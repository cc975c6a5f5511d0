//! A walk takes the memory that the cache may take, however much is stored.

use std::process::Command;

use super::*;
use crate::store::disk::Writes;

const FOLDER: &str = "KILOFOLD_MEMORY_FOLDER";
const CACHE: u64 = 1 << 20;
/// Values of a kilobyte.
const VALUES: u64 = 40_000;

/// Bytes that this process has in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// The child: walks over everything, and says how much memory that took.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let disk = Disk::open(folder.as_ref(), CACHE).unwrap();
    let before = resident();
    let found = disk.all(&[]).map(|item| item.unwrap().1.len() as u64).sum::<u64>();
    println!("took {} {found}", resident() - before);
}

#[test]
#[cfg(target_os = "linux")]
fn a_walk_takes_what_the_cache_may() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), CACHE).unwrap();
    for first in (0..VALUES).step_by(500) {
        let mut writes = Writes::default();
        (first..first + 500).for_each(|n| writes.put(n.to_be_bytes().to_vec(), &[7; 1000]));
        disk.apply(writes).unwrap();
    }
    disk.flush().unwrap();
    drop(disk);

    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::memory::child", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8(child.stdout).unwrap();
    let (_, said) = said.split_once("took ").expect("the child walks");
    let numbers: Vec<u64> =
        said.split_whitespace().take(2).map(|number| number.parse().unwrap()).collect();
    assert_eq!(numbers[1], VALUES * 1000);
    // A page in each of 256 shards, and what waits to be counted there; everything would be 40 MB and more.
    assert!(numbers[0] < 16 << 20, "the walk took {} bytes", numbers[0]);
}

/// Pages that come and go under readers and a writer: every walk sees each record once, as some commit left it.
#[test]
fn walks_beside_commits_are_whole() {
    const RECORDS: u32 = 3000;
    let folder = tempfile::tempdir().unwrap();
    let options = Options { cache_bytes: CACHE, ..Options::default() };
    let store = Store::open(folder.path(), &options).unwrap();
    let sync = name("S");
    let run = begin(&store, &sync);
    let write = |version: u32| {
        for first in (0..RECORDS).step_by(500) {
            // Each time other records change, so that pages lie in ever more places.
            let changed =
                (first..first + 500).filter(|n| version == 0 || (n + version).is_multiple_of(3));
            let text = |n: u32| {
                format!("{{\"n\":{n},\"v\":{version},\"more\":\"{:0>300}\"}}", n ^ version)
            };
            let (raws, outcomes): (Vec<_>, Vec<_>) = changed
                .map(|n| {
                    let raw = (id(n), i64::from(version), false, text(n));
                    (raw, mapped(&[output("person", id(n).as_str(), &text(n))]))
                })
                .unzip();
            commit(&store, run, &sync, &batch(&raws), outcomes, cursor(i64::from(version)));
        }
    };
    write(0);
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let walk = || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let mut next = 0;
                for row in store.output_rows(&Wanted::default()) {
                    let row = row.unwrap();
                    assert_eq!(row.record, id(next));
                    assert!(row.body.starts_with(&format!("{{\"n\":{next},")), "{}", row.body);
                    next += 1;
                }
                assert_eq!(next, RECORDS);
            }
        };
        let walks = [scope.spawn(walk), scope.spawn(walk)];
        (1..15).for_each(write);
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        walks.into_iter().for_each(|walk| walk.join().unwrap());
    });
}
