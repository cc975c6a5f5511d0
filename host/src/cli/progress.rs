//! Progress bars, one a sync, fed by the events; without a terminal, one line at the end of each run.

use std::collections::HashMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use console::style;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::events::{Bus, Event, Told};
use crate::model::{Counts, Ending, Run, RunId, SyncName};
use crate::web::text::{grouped, plain, took};

/// Shows progress on standard error until it is finished.
#[derive(Debug)]
pub struct Progress {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Progress {
    /// Shows what the bus tells from now on.
    pub fn start(bus: &Bus) -> Self {
        let stop = CancellationToken::new();
        let terminal = std::io::stderr().is_terminal();
        let task = tokio::spawn(show(bus.subscribe(), stop.clone(), Bars::new(terminal)));
        Self { stop, task }
    }

    /// Shows what was told until now, and ends.
    pub async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the progress display failed");
        }
    }
}

async fn show(mut receiver: Receiver<Arc<Told>>, stop: CancellationToken, mut bars: Bars) {
    loop {
        let told = tokio::select! {
            biased;
            told = receiver.recv() => told,
            () = stop.cancelled() => break,
        };
        match told {
            Ok(told) => bars.hear(&told.event),
            // What was missed is made good by the next commit, which tells the run's totals.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => break,
        }
    }
    bars.leave();
}

/// The bars by run.
struct Bars {
    many: MultiProgress,
    terminal: bool,
    runs: HashMap<RunId, ProgressBar>,
    width: usize,
}

impl Bars {
    fn new(terminal: bool) -> Self {
        let many = MultiProgress::with_draw_target(if terminal {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        });
        Self { many, terminal, runs: HashMap::new(), width: 11 }
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { run, sync, .. } => {
                self.bar(*run, sync);
            }
            Event::PageFetched { run, sync, expected: Some(expected), .. } => {
                self.bar(*run, sync).set_length(*expected);
            }
            Event::BatchCommitted { run, sync, total, calls, expected, .. } => {
                let bar = self.bar(*run, sync);
                if let Some(expected) = expected {
                    bar.set_length((*expected).max(total.fetched));
                }
                bar.set_position(total.fetched);
                bar.set_message(words(total, *calls));
            }
            Event::RunRetry { run, sync, reason, waited_ms, .. } => {
                let wait = took(Duration::from_millis(*waited_ms));
                self.bar(*run, sync).set_message(format!("again in {wait}: {}", plain(reason)));
            }
            Event::RunEnded { run, sync, ending, counts, calls, took_ms } => {
                let line = ended(*run, sync, ending, counts, *calls, *took_ms);
                self.end(*run, sync, ending, counts, *calls, &line);
            }
            _ => {}
        }
    }

    fn bar(&mut self, run: RunId, sync: &SyncName) -> ProgressBar {
        if let Some(bar) = self.runs.get(&run) {
            return bar.clone();
        }
        self.width = self.width.max(sync.as_str().len().min(24));
        let bar = self.many.add(ProgressBar::no_length());
        bar.set_style(running());
        bar.set_prefix(format!("{:<width$}", sync.as_str(), width = self.width));
        if self.terminal {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        self.runs.insert(run, bar.clone());
        bar
    }

    fn end(
        &mut self,
        run: RunId,
        sync: &SyncName,
        ending: &Ending,
        counts: &Counts,
        calls: u64,
        line: &str,
    ) {
        if !self.terminal {
            tell(line);
            return;
        }
        let bar = self.bar(run, sync);
        if ending.is_success() {
            bar.set_length(counts.fetched);
        }
        bar.set_position(counts.fetched);
        bar.set_style(stopped());
        let label = match ending {
            Ending::Succeeded => style("succeeded").green(),
            Ending::SucceededWithFailures => style("some failed").yellow(),
            Ending::Paused { .. } => style("paused").magenta(),
            Ending::Failed { .. } => style("failed").red(),
            Ending::Interrupted => style("interrupted").red(),
        };
        bar.abandon_with_message(format!("{label}, {}", words(counts, calls)));
        self.runs.remove(&run);
    }

    /// What still runs is left standing as it is.
    fn leave(&mut self) {
        for (_, bar) in self.runs.drain() {
            bar.abandon();
        }
    }
}

/// One run of a host, as it is asked again and again how far it has come.
pub struct Bar {
    bar: ProgressBar,
    terminal: bool,
}

impl Bar {
    /// A bar for the next run of a sync.
    pub fn new(sync: &SyncName) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = if terminal { ProgressBar::no_length() } else { ProgressBar::hidden() };
        bar.set_style(running());
        bar.set_prefix(format!("{:<11}", sync.as_str()));
        Self { bar, terminal }
    }

    /// How far the run is.
    pub fn show(&mut self, run: &Run) {
        if let Some(expected) = run.expected {
            self.bar.set_length(expected.max(run.counts.fetched));
        }
        self.bar.set_position(run.counts.fetched);
        self.bar.set_message(words(&run.counts, run.calls));
    }

    /// The run has ended; its table follows.
    pub fn done(&self) {
        if self.terminal {
            self.bar.finish_and_clear();
        }
    }
}

fn words(counts: &Counts, calls: u64) -> String {
    let calls = format!("{calls} call{}", if calls == 1 { "" } else { "s" });
    if counts.failed == 0 { calls } else { format!("{calls}, {} failed", grouped(counts.failed)) }
}

fn ended(
    run: RunId,
    sync: &SyncName,
    ending: &Ending,
    counts: &Counts,
    calls: u64,
    took_ms: u64,
) -> String {
    let why = match ending {
        Ending::Paused { code, reason, .. } => format!(": {} [{code}]", plain(reason)),
        Ending::Failed { code, message } => format!(": {} [{code}]", plain(message)),
        _ => String::new(),
    };
    format!(
        "run {run} of {sync} {} in {}: {} fetched, {} mapped, {} unchanged, {} skipped, {} failed, {} deleted, {}{why}",
        ending.label(),
        took(Duration::from_millis(took_ms)),
        grouped(counts.fetched),
        grouped(counts.mapped),
        grouped(counts.unchanged),
        grouped(counts.skipped),
        grouped(counts.failed),
        grouped(counts.deleted),
        words(&Counts::default(), calls),
    )
}

// What the message has no room for is cut: a line that wraps spoils those above it.
const RUNNING: &str =
    "{prefix} {bar:16.cyan/dim} {human_pos:>7}/{human_len:<7} {rate:>9} {wide_msg}";
const STOPPED: &str = "{prefix} {bar:16.dim} {human_pos:>7}/{human_len:<7} {wide_msg}";

fn running() -> ProgressStyle {
    template(RUNNING)
}

fn stopped() -> ProgressStyle {
    template(STOPPED)
}

/// The style of a bar. `{rate}` is how many a second it gets on, in whole numbers.
pub(super) fn template(text: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(text);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, to: &mut dyn Write| {
            // What cannot be written is not shown.
            to.write_str(&format!("{}/s", grouped(state.per_sec().round() as u64))).ok();
        })
        .progress_chars("━━─")
}

#[expect(clippy::print_stderr, reason = "progress is for whoever watches, apart from results")]
fn tell(line: &str) {
    eprintln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        for text in [RUNNING, STOPPED] {
            assert!(ProgressStyle::with_template(text).is_ok());
        }
    }

    #[tokio::test]
    async fn hears_a_run_to_its_end() {
        let bus = Bus::new();
        let sync = SyncName::new("Contact").unwrap();
        let run = RunId(1);
        let mut bars = Bars::new(false);
        let total = Counts { fetched: 1000, mapped: 990, failed: 10, ..Counts::default() };
        bars.hear(&Event::BatchCommitted {
            run,
            sync: sync.clone(),
            page: 0,
            counts: total,
            total,
            calls: 1,
            expected: Some(2500),
            feed_end: 990,
            timing: crate::model::Timing::default(),
        });
        let bar = bars.bar(run, &sync);
        assert_eq!((bar.position(), bar.length()), (1000, Some(2500)));
        assert_eq!(bar.message(), "1 call, 10 failed");
        Progress::start(&bus).finish().await;
    }

    #[test]
    fn a_stop_is_no_success() {
        let sync = SyncName::new("Contact").unwrap();
        let paused = Ending::Paused {
            code: "limit.daily".into(),
            reason: "spent\u{7}".into(),
            resumes_at: None,
        };
        let counts = Counts { fetched: 1200, mapped: 1200, ..Counts::default() };
        insta::assert_snapshot!(
            ended(RunId(7), &sync, &paused, &counts, 2, 1500),
            @r"run 7 of Contact paused in 1.5s: 1,200 fetched, 1,200 mapped, 0 unchanged, 0 skipped, 0 failed, 0 deleted, 2 calls: spent\u{7} [limit.daily]"
        );
    }
}
