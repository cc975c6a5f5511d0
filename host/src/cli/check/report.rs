//! What a check found, for people and for programs.

use serde::Serialize;

use crate::cli::Failure;
use crate::cli::out::Out;
use crate::cli::sheet::{Cell, Column, Paint, Sheet};
use crate::config::{Allowance, Config, Fields};
use crate::error::{self, Exit};
use crate::forecast;
use crate::model::{ConnectionName, Stamp, SyncName, Usage};
use crate::quota::{self, Usual, first_pass};
use crate::schedule::plan;
use crate::sync::Selected;
use crate::sync::window::Tracking;
use crate::web::reader;
use crate::web::text::grouped;

/// A thing that is wrong, with its code, or one that is worth knowing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The code of a problem; none for a note.
    pub code: Option<String>,
    /// What was found.
    pub text: String,
}

/// What a sync costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Runs in 24 hours.
    pub runs: u64,
    /// Calls in 24 hours; the least, when it has not run yet.
    pub calls: u64,
    /// Of how many runs this was learnt; 0: of none, it follows from the schedule.
    pub learnt: u64,
    /// Changed records in 24 hours; none before it has run.
    pub records: Option<u64>,
    /// Records that the first pass has yet to read, as far as is known; none after it.
    pub first_pass_records: Option<u64>,
    /// Calls that it needs for them.
    pub first_pass_calls: Option<u64>,
}

impl From<Usual> for Cost {
    fn from(usual: Usual) -> Self {
        let Usual { runs, calls, learnt, records } = usual;
        Self { runs, calls, learnt, records, first_pass_records: None, first_pass_calls: None }
    }
}

/// What is known of one sync.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Its name.
    pub sync: SyncName,
    /// Its object.
    pub object: String,
    /// Whether it is on.
    pub enabled: bool,
    /// Its plugin: name and version once it is loaded.
    pub plugin: String,
    /// When it runs.
    pub schedule: String,
    /// The most records of a call.
    pub page_size: u16,
    /// The SELECT list once the org was asked; before, what the configuration says.
    pub fields: Vec<String>,
    /// How changes are found, once the org was asked.
    pub window: Option<String>,
    /// What it costs.
    pub cost: Cost,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether it is known that the object was not read whole yet.
    #[serde(skip)]
    new: bool,
}

/// Whether a connection answers.
#[derive(Debug, Clone, Serialize)]
pub struct Org {
    /// The connection.
    pub connection: ConnectionName,
    /// How it stands.
    pub state: String,
    /// The code of what is wrong.
    pub problem: Option<String>,
}

/// The whole check.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Whether all of it would run.
    pub sound: bool,
    /// The connections, when the org was asked.
    pub connections: Vec<Org>,
    /// The syncs.
    pub syncs: Vec<Checked>,
    /// Calls a day of all syncs that are on: the least.
    pub calls_a_day: u64,
    /// The most that the configuration lets them spend, when that is a number.
    pub allowance: Option<u64>,
    /// The org's day, when the org was asked.
    pub usage: Option<Usage>,
    /// What the org is entitled to by its edition and licences, as configured.
    pub entitlement: Option<u64>,
    #[serde(skip)]
    share: Option<Allowance>,
}

impl Checked {
    /// Notes a problem.
    pub fn problem(&mut self, code: &str, text: &str) {
        self.findings.push(Finding { code: Some(code.to_owned()), text: text.to_owned() });
    }

    /// Notes what is worth knowing.
    pub fn note(&mut self, text: &str) {
        self.findings.push(Finding { code: None, text: text.to_owned() });
    }

    /// Takes over what its runs have cost.
    pub fn costs(&mut self, cost: &forecast::Cost) {
        self.new = cost.first_pass;
        self.cost = Cost { first_pass_records: cost.left, ..Cost::from(cost.usual) };
    }

    /// Whether the records of its object are to be counted.
    pub fn counts_first_pass(&self) -> bool {
        self.new && self.enabled && self.cost.first_pass_records.is_none()
    }

    /// Takes over how many records its object has.
    pub fn counted(&mut self, records: Option<u64>) {
        self.cost.first_pass_records = records;
    }

    /// What it costs, for people.
    fn price(&self) -> String {
        let Cost { runs, calls, learnt, records, .. } = self.cost;
        let first = match (self.cost.first_pass_calls, self.cost.first_pass_records) {
            (Some(calls), Some(records)) => format!(
                "; its first pass over about {} records needs {} call{}",
                grouped(records),
                grouped(calls),
                if calls == 1 { "" } else { "s" }
            ),
            _ => String::new(),
        };
        let (runs, calls) = (grouped(runs), grouped(calls));
        match records {
            Some(records) => format!(
                "about {calls} calls a day by {runs} runs, for {} changed records, as its last {learnt} runs went{first}",
                grouped(records)
            ),
            None => format!("at least {calls} calls a day by {runs} runs{first}"),
        }
    }

    /// Takes over what a run would read.
    pub fn selected(&mut self, selected: &Selected) {
        self.page_size = selected.page;
        self.fields.clone_from(&selected.fields);
        self.window = Some(match &selected.tracking {
            Tracking::Stamped(field) => format!("changes by {field}, Id"),
            Tracking::FullPass => "the whole object by Id, every run".to_owned(),
        });
        for note in &selected.notes {
            self.note(note);
        }
    }
}

impl Report {
    /// What the configuration alone says.
    pub fn new(config: &Config) -> Self {
        let now = Stamp::now();
        let syncs = config.syncs.iter().map(|sync| Checked {
            sync: sync.name.clone(),
            object: sync.object.clone(),
            enabled: sync.enabled,
            plugin: reader::named(&sync.plugin),
            schedule: sync.schedule.to_string(),
            page_size: sync.page_size,
            fields: match &sync.fields {
                Fields::List(list) => list.clone(),
                Fields::Plugin => vec!["as the plugin reads".to_owned()],
                Fields::All => vec!["all".to_owned()],
            },
            window: None,
            cost: Usual::of(&[], plan::runs_a_day(&sync.schedule, now), now).into(),
            findings: Vec::new(),
            new: false,
        });
        Self {
            sound: true,
            connections: Vec::new(),
            syncs: syncs.collect(),
            calls_a_day: 0,
            allowance: None,
            usage: None,
            share: config.quota.allowance,
            entitlement: config.org.entitlement,
        }
    }

    /// Sums up.
    pub fn finish(&mut self) {
        let on = self.syncs.iter().filter(|sync| sync.enabled);
        self.calls_a_day = on.map(|sync| sync.cost.calls).sum();
        for sync in &mut self.syncs {
            let page = u64::from(sync.page_size);
            sync.cost.first_pass_calls = sync.cost.first_pass_records.map(|n| first_pass(n, page));
        }
        // Before the first reading, what the org is entitled to.
        let day = self.usage.map(|usage| usage.max).or(self.entitlement);
        self.allowance = match (self.share, day) {
            (Some(Allowance::Calls(calls)), _) => Some(calls),
            (Some(Allowance::Percent(percent)), Some(day)) => {
                Some(quota::Share::Percent(percent).of(day))
            }
            _ => None,
        };
        let sound = self.problems().next().is_none();
        self.sound = sound;
    }

    fn problems(&self) -> impl Iterator<Item = &str> {
        let connections = self.connections.iter().filter_map(|org| org.problem.as_deref());
        let findings = self.syncs.iter().flat_map(|sync| &sync.findings);
        connections.chain(findings.filter_map(|finding| finding.code.as_deref()))
    }

    /// The exit of an unsound report: that of its first problem, a connection before a sync.
    pub fn exit(&self) -> Exit {
        match self.problems().next().map(Exit::of) {
            Some(exit @ (Exit::NotConnected | Exit::Paused | Exit::Store)) => exit,
            Some(_) => Exit::Usage,
            None => Exit::Done,
        }
    }

    /// For people.
    pub fn print(&self, out: &Out) -> Result<(), Failure> {
        for org in &self.connections {
            let code = org.problem.as_ref().map_or(String::new(), |code| format!(" [{code}]"));
            out.pair(org.connection.as_str(), &format!("{}{code}", org.state))?;
        }
        let mut sheet = Sheet::new(&[
            Column::giving("sync"),
            Column::giving("object"),
            Column::giving("plugin"),
            Column::giving("schedule"),
            Column::number("page"),
            Column::number("calls/day"),
            Column::text("check"),
        ]);
        for sync in &self.syncs {
            let problems = sync.findings.iter().filter(|finding| finding.code.is_some()).count();
            let (word, paint) = match (problems, sync.enabled) {
                (0, true) => ("ok".to_owned(), Paint::Good),
                (0, false) => ("ok, off".to_owned(), Paint::Dim),
                (n, _) => (format!("{n} wrong"), Paint::Bad),
            };
            sheet.row(vec![
                sync.sync.as_str().into(),
                sync.object.as_str().into(),
                sync.plugin.as_str().into(),
                sync.schedule.as_str().into(),
                sync.page_size.to_string().into(),
                format!(
                    "{}{}",
                    if sync.cost.learnt == 0 { ">= " } else { "" },
                    grouped(sync.cost.calls)
                )
                .into(),
                Cell::new(&word, paint),
            ]);
        }
        out.sheet(&sheet, "No sync is configured.")?;
        for sync in &self.syncs {
            out.line("")?;
            out.line(sync.sync.as_str())?;
            if let Some(window) = &sync.window {
                out.pair("  window", window)?;
            }
            out.pair("  fields", &fields(&sync.fields))?;
            out.pair("  cost", &sync.price())?;
            for finding in &sync.findings {
                match &finding.code {
                    Some(code) => {
                        out.pair("  wrong", &format!("{} [{code}]", finding.text))?;
                        if let Some(known) = error::explain(code) {
                            out.pair("  to do", known.cure)?;
                        }
                    }
                    None => out.pair("  note", &finding.text)?,
                }
            }
        }
        out.line("")?;
        out.pair("calls", &self.calls())
    }

    fn calls(&self) -> String {
        let sure = self.syncs.iter().filter(|sync| sync.enabled).all(|sync| sync.cost.learnt > 0);
        let about = if sure { "about" } else { "at least" };
        let least =
            format!("{about} {} a day for all syncs that are on", grouped(self.calls_a_day));
        let more = match (&self.usage, self.entitlement) {
            (Some(usage), _) => format!(" of the org's {}", grouped(usage.max)),
            (None, Some(day)) => format!(" of the {} that the org is entitled to", grouped(day)),
            (None, None) => String::new(),
        };
        match self.allowance {
            Some(allowance) if self.calls_a_day > allowance => {
                format!(
                    "{least}{more}; that is OVER the allowance of {}: syncs will pause",
                    grouped(allowance)
                )
            }
            Some(allowance) => format!("{least}{more}; the allowance is {}", grouped(allowance)),
            None => format!("{least}{more}"),
        }
    }
}

/// The first fields and how many there are.
fn fields(fields: &[String]) -> String {
    const SHOWN: usize = 8;
    let first = fields.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match fields.len() {
        0 => "none".to_owned(),
        n if n > SHOWN => format!("{first} and {} more", n - SHOWN),
        _ => first,
    }
}
