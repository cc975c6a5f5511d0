//! A sync's last runs as bars, the newest to the right: colour and height tell how each ended and how much came.

use maud::{Markup, html};

use super::ctx::Ctx;
use super::parts::tone;
use crate::model::Standing;
use crate::store::Brief;
use crate::web::text::{grouped, moment, took};

/// How many runs a strip shows.
pub(super) const RUNS: usize = 50;

const STEP: usize = 10;
const WIDTH: usize = 8;
const HEIGHT: f64 = 32.0;
const LEAST: f64 = 5.0;

/// The height of a bar: by the logarithm of what came, against the most that came. A run that stopped is as high as the
/// highest, so that it is seen.
fn height(brief: &Brief, most: u64) -> f64 {
    match brief.standing {
        Standing::Failed | Standing::Paused | Standing::Interrupted => HEIGHT,
        _ if most == 0 => LEAST,
        _ => {
            let part = (brief.fetched as f64 + 1.0).ln() / (most as f64 + 1.0).ln();
            LEAST + (HEIGHT - LEAST) * part.clamp(0.0, 1.0)
        }
    }
}

/// What a bar stands for, in words.
fn title(brief: &Brief, ctx: &Ctx) -> String {
    let mut text = format!(
        "Import {}, {}: {}, {} records",
        brief.run,
        moment(brief.started, ctx.now, &ctx.zone),
        brief.standing.label(),
        grouped(brief.fetched)
    );
    if brief.failed > 0 {
        text.push_str(&format!(", {} failed", grouped(brief.failed)));
    }
    if brief.standing != Standing::Running {
        text.push_str(&format!(", took {}", took(brief.took)));
    }
    text
}

/// All bars in a sentence: `Last 50 runs: 48 succeeded, 2 failed`.
pub(super) fn summary(briefs: &[Brief]) -> String {
    let parts: Vec<String> = Standing::ALL
        .into_iter()
        .filter_map(|standing| {
            let n = briefs.iter().filter(|brief| brief.standing == standing).count();
            (n > 0).then(|| format!("{n} {}", standing.label()))
        })
        .collect();
    match briefs.len() {
        0 => "No run yet".to_owned(),
        1 => format!("The only run: {}", parts.join(", ")),
        n => format!("Last {n} runs: {}", parts.join(", ")),
    }
}

/// The strip; `briefs` come newest first.
pub(super) fn strip(briefs: &[Brief], ctx: &Ctx) -> Markup {
    let most = briefs.iter().map(|brief| brief.fetched).max().unwrap_or(0);
    let x = |at: usize| (RUNS - 1 - at.min(RUNS - 1)) * STEP;
    html! {
        svg.strip viewBox={ "0 0 " (RUNS * STEP) " 34" } preserveAspectRatio="none" role="group" aria-label=(summary(briefs)) {
            line.floor x1="0" y1="33.5" x2=(RUNS * STEP) y2="33.5" {}
            @for (i, brief) in briefs.iter().enumerate() {
                @let h = height(brief, most);
                // The bars are for a pointer; the table below has the same links for the keyboard.
                a href={ "/imports/" (brief.run) } tabindex="-1" {
                    title { (title(brief, ctx)) }
                    rect class={ "f-" (tone(brief.standing)) } x=(x(i)) y=(format!("{:.1}", 33.0 - h)) width=(WIDTH) height=(format!("{h:.1}")) rx="1.5" {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{RunId, Stamp};
    use crate::store::Reads;

    fn brief(standing: Standing, fetched: u64) -> Brief {
        let (run, started, took) = (RunId(1), Stamp(0), Duration::ZERO);
        let (calls, pages, reads) = (1, 1, Reads::Changes);
        Brief { run, standing, started, took, fetched, failed: 0, calls, pages, reads }
    }

    #[test]
    fn what_stopped_stands_out() {
        let low = brief(Standing::Succeeded, 10);
        assert!(height(&low, 1_000_000) < height(&brief(Standing::Failed, 0), 1_000_000));
        assert_eq!(height(&brief(Standing::Succeeded, 1000), 1000), HEIGHT);
        assert_eq!(height(&brief(Standing::Succeeded, 0), 0), LEAST);
    }

    #[test]
    fn a_sentence_says_what_the_bars_show() {
        assert_eq!(summary(&[]), "No run yet");
        let briefs = [Standing::Succeeded, Standing::Failed, Standing::Succeeded];
        let briefs = briefs.map(|standing| brief(standing, 1));
        assert_eq!(summary(&briefs), "Last 3 runs: 2 succeeded, 1 failed");
    }
}
