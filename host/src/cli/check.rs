//! `kilofold check`: whether the configuration would run, what it would do, and what that costs.

mod report;

use clap::Args as ClapArgs;

use super::out::Out;
use super::{Failure, Globals, sync};
use crate::app;
use crate::clock::Clock;
use crate::config::{Config, SyncConfig};
use crate::error::Exit;
use crate::forecast;
use crate::model::{Caller, ConnectionName, Maker, Stamp};
use crate::plugin::{Engine, Plugin};
use crate::salesforce::Org;
use crate::sync::select;

use report::{Checked, Org as OrgReport, Report};

/// Checks the configuration, against the org as well, and says what it would do and cost.
///
/// Against the org it spends an API call for each object that was not described of late, and one for the counts of the
/// records of all objects that were not read whole yet.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Asks nothing of Salesforce
    #[arg(long)]
    offline: bool,
}

/// Checks.
pub async fn run(args: &Args, globals: &Globals) -> Result<Exit, Failure> {
    let out = Out::new(globals);
    let config = globals.load()?;
    let engine = app::open_engine(&config)?;
    let mut report = Report::new(&config);
    let loaded: Vec<Option<(Plugin, Maker)>> = config
        .syncs
        .iter()
        .zip(&mut report.syncs)
        .map(|(sync, checked)| plugin(&engine, &config, sync, checked))
        .collect();
    if !args.offline {
        if sync::host(&config).await?.is_some() {
            let what = "the host process holds the store, and with it the ledger of API calls";
            return Err(Failure::new("store.locked", what)
                .cure("use --offline, or stop `kilofold serve` for the check"));
        }
        let store = app::open_store(&config)?;
        for (loaded, checked) in loaded.iter().zip(&mut report.syncs) {
            if let Some((_, maker)) = loaded
                && store.mapping(&checked.sync)?.other_than(maker).is_some()
            {
                checked.note(&format!(
                    "the plugin or its settings changed after records were mapped: kilofold remap {}",
                    checked.sync
                ));
            }
        }
        let now = Stamp::now();
        for (sync, checked) in config.syncs.iter().zip(&mut report.syncs) {
            checked.costs(&forecast::of(&store, sync, now)?);
        }
        let org = app::open_org(&config, &store, Clock::default())?;
        against(&org, &config, &loaded, &mut report).await;
        count(&org, &mut report).await;
        // What Salesforce told of the org's day is known to the next command.
        store.fold_calls()?;
    }
    report.finish();
    if out.json {
        out.value(&report)?;
    } else {
        report.print(&out)?;
    }
    if report.sound { Ok(Exit::Done) } else { Err(Failure::said(report.exit())) }
}

/// Loads a sync's plugin and shows it its settings.
fn plugin(
    engine: &Engine,
    config: &Config,
    sync: &SyncConfig,
    checked: &mut Checked,
) -> Option<(Plugin, Maker)> {
    let (plugin, settings) = match app::load_present(engine, config, sync) {
        Ok(loaded) => loaded,
        Err(error) => {
            checked.problem(error.code(), &error.to_string());
            return None;
        }
    };
    let about = plugin.description();
    checked.plugin = format!("{} {}", about.name, about.version);
    if !about.maps(&sync.object) {
        checked.problem(
            "plugin.object",
            &format!("{} maps {}, not {}", about.name, about.objects.join(", "), sync.object),
        );
    }
    let maker = plugin.maker(&settings);
    Some((plugin, maker))
}

/// Asks the org: its clock and versions for free, one describe a sync.
async fn against(
    org: &Org,
    config: &Config,
    plugins: &[Option<(Plugin, Maker)>],
    report: &mut Report,
) {
    for connection in &config.connections {
        let who = Caller { connection: connection.name.clone(), sync: None, run: None, page: None };
        let (state, problem) = match org.server_time(&who).await {
            Ok(time) => {
                let off = time.0 - Stamp::now().0;
                (format!("answers; its clock is {} from ours", skew(off)), None)
            }
            Err(error) => (error.to_string(), Some(error.code().to_owned())),
        };
        report.connections.push(OrgReport { connection: connection.name.clone(), state, problem });
    }
    for ((sync, plugin), checked) in config.syncs.iter().zip(plugins).zip(&mut report.syncs) {
        let answers = |name: &&ConnectionName| {
            !report.connections.iter().any(|c| c.connection == **name && c.problem.is_some())
        };
        let Some(connection) = sync.connections.iter().find(answers).cloned() else {
            checked.note("not checked against the org: its connection does not answer");
            continue;
        };
        let who = Caller { connection, sync: Some(sync.name.clone()), run: None, page: None };
        let describe = match org.describe(&who, &sync.object).await {
            Ok(describe) => describe,
            Err(error) => {
                checked.problem(error.code(), &error.to_string());
                continue;
            }
        };
        let Some((plugin, _)) = plugin else { continue };
        match select(sync, &plugin.description().reads, &describe) {
            Ok(selected) => checked.selected(&selected),
            Err(error) => checked.problem(error.code(), &error.to_string()),
        }
    }
    report.usage = org.gate().usage();
}

/// Asks how many records there are of what was not read whole yet, for the cost of the first pass.
async fn count(org: &Org, report: &mut Report) {
    let answers = report.connections.iter().find(|connection| connection.problem.is_none());
    let Some(connection) = answers.map(|one| one.connection.clone()) else { return };
    let new = || report.syncs.iter().filter(|sync| sync.counts_first_pass());
    let mut objects: Vec<&str> = new().map(|sync| sync.object.as_str()).collect();
    objects.sort_unstable();
    objects.dedup();
    if objects.is_empty() {
        return;
    }
    let who = Caller { connection, sync: None, run: None, page: None };
    match org.record_counts(&who, &objects).await {
        Ok(counts) => {
            for sync in report.syncs.iter_mut().filter(|sync| sync.counts_first_pass()) {
                sync.counted(counts.get(&sync.object).copied());
            }
            report.usage = org.gate().usage();
        }
        // Nothing else depends on it.
        Err(error) => {
            for sync in report.syncs.iter_mut().filter(|sync| sync.counts_first_pass()) {
                sync.note(&format!("the cost of its first pass is not known: {error}"));
            }
        }
    }
}

fn skew(ms: i64) -> String {
    format!("{}{:.1} s", if ms < 0 { "-" } else { "+" }, ms.unsigned_abs() as f64 / 1000.0)
}
