//! `cargo bench --bench end_to_end`: the whole road over loopback, beside jsforce and simple-salesforce.
//!
//! Every program that is measured, and the org that they all read, is a process of its own, so processor time and
//! memory are told apart. `-- --help` lists what can be chosen.
#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::print_stderr, reason = "and what it is doing meanwhile")]

mod child;
mod host;
mod org;
mod peers;
mod report;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;

use child::Sample;
use host::Host;
use org::Org;
use report::{Latency, Memory, Program, Report};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Records that every program asks for in one call.
const PAGE: usize = 1000;

/// The whole road over loopback: rate, processor time, memory and calls, beside other clients.
#[derive(Debug, Parser)]
struct Args {
    /// Contacts that every program pulls when rates are compared
    #[arg(long, env = "KILOFOLD_BENCH_RECORDS", default_value_t = 100_000)]
    records: usize,
    /// How often each program pulls them; medians are told
    #[arg(long, env = "KILOFOLD_BENCH_ROUNDS", default_value_t = 3)]
    rounds: usize,
    /// Latency of a page in the run that shows the overlap, in milliseconds; 0 leaves it out
    #[arg(long, env = "KILOFOLD_BENCH_LATENCY", default_value_t = 300, value_name = "MS")]
    latency: u64,
    /// Contacts in that run
    #[arg(long, env = "KILOFOLD_BENCH_LATENCY_RECORDS", default_value_t = 50_000)]
    latency_records: usize,
    /// Contacts in the runs that show how memory grows; 0 leaves them out
    #[arg(long, env = "KILOFOLD_BENCH_MEMORY", value_delimiter = ',', default_values_t = [100_000, 400_000])]
    memory: Vec<usize>,
    /// One more of them, with a million Contacts
    #[arg(long, env = "KILOFOLD_BENCH_MILLION")]
    million: bool,
    /// Compresses the org's answers, as Salesforce does
    #[arg(long)]
    gzip: bool,
    /// Leaves the other clients out
    #[arg(long)]
    no_peers: bool,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    /// What cargo passes to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
    /// Is the org, with so many Contacts, until standard input ends
    #[arg(long, hide = true)]
    org: Option<usize>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(records) = args.org {
        return org::serve(records, args.gzip);
    }
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut report = Report::new(args.gzip);
    if args.records > 0 && args.rounds > 0 {
        rates(&args, folder.path(), &mut report)?;
    }
    if args.latency > 0 && args.latency_records > 0 {
        report.latency = Some(latency(&args, folder.path())?);
    }
    let million = args.million.then_some(1_000_000);
    for records in args.memory.iter().copied().filter(|n| *n > 0).chain(million) {
        report.memory.push(memory(&args, records, folder.path())?);
    }
    report.print(args.json)
}

/// The same query by every program in turn, several times.
fn rates(args: &Args, folder: &Path, report: &mut Report) -> Result<()> {
    let org = Org::start(args.records, args.gzip)?;
    let host = Host::new(&folder.join("rates"), &org)?;
    let mut programs = vec![Program::new("kilofold")];
    let (mut peers, mut outputs): (Vec<peers::Peer>, Vec<PathBuf>) = (Vec::new(), Vec::new());
    if !args.no_peers {
        for found in peers::install(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
            match found {
                Ok(peer) => {
                    programs.push(Program::new(peer.name));
                    outputs.push(folder.join(format!("{}.jsonl", peer.name)));
                    peers.push(peer);
                }
                Err(why) => report.left_out.push(why),
            }
        }
    }

    // The first pull has every page written, so that none of the measured ones waits for the org.
    tell("warming up: the org writes its pages");
    let soql = host.pull()?.soql;
    let raw = org.page_through(&soql)?;
    report.record_bytes = raw.bytes / args.records.max(1);
    report.ceiling = args.records as f64 / raw.took.as_secs_f64();
    for round in 1..=args.rounds {
        tell(&format!("round {round} of {}", args.rounds));
        org.forget_requests()?;
        let pull = host.pull()?;
        programs[0].add(&pull.sample, org.calls()?, args.records)?;
        for ((peer, output), program) in peers.iter().zip(&outputs).zip(&mut programs[1..]) {
            org.forget_requests()?;
            let sample = peer.pull(&org, &soql, output)?;
            program.add(&sample, org.calls()?, args.records)?;
            std::fs::remove_file(output)?;
        }
    }
    report.records = args.records;
    report.rounds = args.rounds;
    report.programs = programs;
    Ok(())
}

/// A run against an org that takes its time: fetching overlaps everything else, or this is too long.
fn latency(args: &Args, folder: &Path) -> Result<Latency> {
    let records = args.latency_records;
    tell(&format!("{records} records with {} ms of latency a page", args.latency));
    let org = Org::start(records, args.gzip)?;
    let host = Host::new(&folder.join("latency"), &org)?;
    let soql = host.pull()?.soql;
    let each = Duration::from_millis(args.latency);
    org.set_latency(each)?;
    org.forget_requests()?;
    let pull = host.pull()?;
    let (requests, pages) = (org.requests()?, org.calls()?.query);
    let raw = org.page_through(&soql)?;
    Ok(Latency {
        records,
        ms: args.latency,
        pages,
        requests,
        seconds: pull.sample.seconds,
        of_pages: pages as f64 * each.as_secs_f64(),
        of_requests: requests as f64 * each.as_secs_f64(),
        raw_seconds: raw.took.as_secs_f64(),
    })
}

/// One run into a fresh store and exports of what it brought, for the memory that they take.
fn memory(args: &Args, records: usize, folder: &Path) -> Result<Memory> {
    tell(&format!("memory with {records} records"));
    let org = Org::start(records, args.gzip)?;
    let home = folder.join("memory");
    let host = Host::new(&home, &org)?;
    let pull = host.pull()?;
    pull.sample.check(records)?;
    let exports = ["jsonl", "csv", "parquet"]
        .map(|ending| host.export(ending, records).map(|peak| (ending, peak)))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    std::fs::remove_dir_all(home)?;
    let Sample { peak_bytes, seconds, .. } = pull.sample;
    Ok(Memory { records, peak_bytes, seconds, exports })
}

fn tell(text: &str) {
    eprintln!("end_to_end: {text}");
}
