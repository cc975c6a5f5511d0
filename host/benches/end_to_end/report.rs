//! Medians, ratios, and how they are shown.

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::child::Sample;
use super::org::Calls;
use super::{PAGE, Result};

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    gzip: bool,
    /// Records that the programs pulled, and how often each.
    pub records: usize,
    /// Rounds.
    pub rounds: usize,
    /// Bytes of a record on the wire, unpacked.
    pub record_bytes: usize,
    /// Records a second of a client that throws the pages away.
    pub ceiling: f64,
    /// kilofold first.
    pub programs: Vec<Program>,
    /// Programs that could not be installed, and why.
    pub left_out: Vec<String>,
    /// The run with latency.
    pub latency: Option<Latency>,
    /// The runs that show memory, the smallest first.
    pub memory: Vec<Memory>,
}

/// What a program took, in all rounds.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    rates: Vec<f64>,
    cpu: Vec<f64>,
    peaks: Vec<f64>,
    pages: usize,
    counted: usize,
}

/// A run against an org with latency.
#[derive(Debug)]
pub struct Latency {
    /// Records.
    pub records: usize,
    /// Milliseconds before each answer.
    pub ms: u64,
    /// Pages.
    pub pages: usize,
    /// Requests, with those for the token, the object and the time.
    pub requests: usize,
    /// How long the run took.
    pub seconds: f64,
    /// The latency of the pages alone.
    pub of_pages: f64,
    /// The latency of all requests.
    pub of_requests: f64,
    /// How long it took to page through the query and throw the pages away.
    pub raw_seconds: f64,
}

/// The memory of a run.
#[derive(Debug)]
pub struct Memory {
    /// Records.
    pub records: usize,
    /// The most that the process had, in bytes.
    pub peak_bytes: u64,
    /// How long the run took.
    pub seconds: f64,
    /// The most that an export to a file of this ending had, in bytes.
    pub exports: Vec<(&'static str, u64)>,
}

impl Program {
    /// Nothing measured yet.
    pub fn new(name: &'static str) -> Self {
        let (rates, cpu, peaks) = (Vec::new(), Vec::new(), Vec::new());
        Self { name, rates, cpu, peaks, pages: 0, counted: 0 }
    }

    /// Adds a round, in which all records must have come in as few calls as there are pages.
    pub fn add(&mut self, sample: &Sample, calls: Calls, records: usize) -> Result<()> {
        sample.check(records).map_err(|error| format!("{}: {error}", self.name))?;
        let pages = records.div_ceil(PAGE);
        if calls.query != pages {
            let (name, query) = (self.name, calls.query);
            return Err(format!("{name} made {query} query calls for {pages} pages").into());
        }
        self.rates.push(records as f64 / sample.seconds);
        self.cpu.push(sample.cpu * 1e6 / records as f64);
        self.peaks.push(sample.peak_bytes as f64 / 1e6);
        (self.pages, self.counted) = (calls.query, calls.counted);
        Ok(())
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    match sorted.get(n / 2) {
        None => f64::NAN,
        Some(upper) if n % 2 == 1 => *upper,
        Some(upper) => (upper + sorted[n / 2 - 1]) / 2.0,
    }
}

fn table(header: &[impl ToString], rows: Vec<Vec<String>>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(header.iter().map(ToString::to_string)).add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

impl Report {
    /// Nothing measured yet.
    pub fn new(gzip: bool) -> Self {
        Self {
            gzip,
            records: 0,
            rounds: 0,
            record_bytes: 0,
            ceiling: 0.0,
            programs: Vec::new(),
            left_out: Vec::new(),
            latency: None,
            memory: Vec::new(),
        }
    }

    /// Bytes that the peak grows by with every record, between the smallest and the largest run.
    fn growth(&self) -> Option<f64> {
        let (first, last) = (self.memory.first()?, self.memory.last()?);
        let more = last.records.checked_sub(first.records).filter(|more| *more > 0)?;
        Some((last.peak_bytes as f64 - first.peak_bytes as f64) / more as f64)
    }

    /// Prints it.
    pub fn print(&self, json: bool) -> Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(&self.json())?);
            return Ok(());
        }
        if !self.programs.is_empty() {
            self.print_rates();
        }
        if let Some(run) = &self.latency {
            println!(
                "\n{} records with {} ms a page: {:.2} s; {:.3} of the latency of its {} pages ({:.2} s), {:.3} of that of all \
                 {} requests, {:.3} of paging through and throwing away ({:.2} s)",
                run.records,
                run.ms,
                run.seconds,
                run.seconds / run.of_pages,
                run.pages,
                run.of_pages,
                run.seconds / run.of_requests,
                run.requests,
                run.seconds / run.raw_seconds,
                run.raw_seconds,
            );
        }
        if !self.memory.is_empty() {
            let rows = self.memory.iter().map(|run| {
                let rate = run.records as f64 / run.seconds;
                let peak = run.peak_bytes as f64 / 1e6;
                let exports =
                    run.exports.iter().map(|(_, peak)| format!("{:.0}", *peak as f64 / 1e6));
                let own = [run.records.to_string(), format!("{peak:.0}"), format!("{rate:.0}")];
                own.into_iter().chain(exports).collect()
            });
            let endings = self.memory.first().map_or(&[][..], |run| &run.exports);
            let exports = endings.iter().map(|(ending, _)| format!("export .{ending}, peak MB"));
            let own = ["records", "peak MB", "records/s"].map(str::to_owned);
            let header: Vec<String> = own.into_iter().chain(exports).collect();
            println!("\n{}", table(&header, rows.collect()));
            if let Some(growth) = self.growth() {
                println!("growth: {growth:.0} MB a million records");
            }
        }
        Ok(())
    }

    fn print_rates(&self) {
        println!(
            "{} Contacts of {} bytes, {} a page, {}, median of {}; a client that throws the pages away: {:.0} records/s",
            self.records,
            self.record_bytes,
            PAGE,
            if self.gzip { "compressed" } else { "not compressed" },
            self.rounds,
            self.ceiling,
        );
        println!(
            "kilofold maps every record and commits every batch durably; the others write JSON lines.\n"
        );
        let own = &self.programs[0];
        let rows = self.programs.iter().map(|program| {
            let versus = |of: fn(&Program) -> &[f64]| median(of(own)) / median(of(program));
            vec![
                program.name.to_owned(),
                format!("{:.0}", median(&program.rates)),
                format!("{:.1}", median(&program.cpu)),
                format!("{:.0}", median(&program.peaks)),
                program.pages.to_string(),
                (program.counted - program.pages).to_string(),
                format!("{:.2}", versus(|p| &p.rates)),
                format!("{:.2}", versus(|p| &p.cpu)),
            ]
        });
        let header = [
            "program",
            "records/s",
            "CPU s per million",
            "peak MB",
            "page calls",
            "other calls",
            "kilofold's rate to its",
            "kilofold's CPU to its",
        ];
        println!("{}", table(&header, rows.collect()));
        for why in &self.left_out {
            println!("left out: {why}");
        }
    }

    fn json(&self) -> Value {
        let programs: Vec<Value> = self
            .programs
            .iter()
            .map(|program| {
                json!({
                    "name": program.name,
                    "records_per_second": median(&program.rates),
                    "cpu_seconds_per_million": median(&program.cpu),
                    "peak_mb": median(&program.peaks),
                    "page_calls": program.pages,
                    "counted_calls": program.counted,
                    "rounds": {"records_per_second": program.rates, "cpu_seconds_per_million": program.cpu},
                })
            })
            .collect();
        let latency = self.latency.as_ref().map(|run| {
            json!({
                "records": run.records,
                "ms": run.ms,
                "pages": run.pages,
                "requests": run.requests,
                "seconds": run.seconds,
                "to_latency_of_pages": run.seconds / run.of_pages,
                "to_latency_of_requests": run.seconds / run.of_requests,
                "to_raw_paging": run.seconds / run.raw_seconds,
            })
        });
        let memory: Vec<Value> = self
            .memory
            .iter()
            .map(|run| {
                let exports = run.exports.iter();
                let exports: serde_json::Map<String, Value> = exports
                    .map(|(ending, peak)| ((*ending).to_owned(), json!(*peak as f64 / 1e6)))
                    .collect();
                json!({
                    "records": run.records,
                    "peak_mb": run.peak_bytes as f64 / 1e6,
                    "seconds": run.seconds,
                    "export_peak_mb": exports,
                })
            })
            .collect();
        json!({
            "records": self.records,
            "rounds": self.rounds,
            "record_bytes": self.record_bytes,
            "gzip": self.gzip,
            "raw_paging_records_per_second": self.ceiling,
            "programs": programs,
            "left_out": self.left_out,
            "latency": latency,
            "memory": memory,
            "growth_mb_per_million": self.growth(),
        })
    }
}
