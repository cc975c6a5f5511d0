//! The small things that every page is made of.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};

use super::ctx::Ctx;
use crate::error;
use crate::model::{Run, Stamp, Standing};
use crate::store::Became;
use crate::web::text::{about, ahead, grouped, moment, plain};

/// Drawings.
pub(super) mod icon {
    use maud::PreEscaped;

    use super::super::shell::drawing;

    /// Three folded sheets.
    pub const LOGO: PreEscaped<&str> = drawing(
        r#"<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"><path d="M3 6.5 12 2l9 4.5-9 4.5z" fill="currentColor"/><path d="m3 12 9 4.5 9-4.5M3 17.5 12 22l9-4.5"/></svg>"#,
    );
    /// Half sun, half moon.
    pub const THEME: PreEscaped<&str> = drawing(
        r#"<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8"><circle cx="12" cy="12" r="8.5"/><path d="M12 3.5a8.5 8.5 0 0 1 0 17z" fill="currentColor"/></svg>"#,
    );
}

/// A text that others wrote: its direction of writing ends with it.
pub(super) fn text(text: &str) -> Markup {
    html! { bdi { (plain(text)) } }
}

/// A cell with a count; nothing stands back.
pub(super) fn count(label: &str, n: u64) -> Markup {
    html! { td.n.zero[n == 0] data-label=(label) { (grouped(n)) } }
}

/// A cell with a count that is bad when it is not zero.
pub(super) fn bad_count(label: &str, n: u64) -> Markup {
    html! { td.n.zero[n == 0].warn[n > 0] data-label=(label) { (grouped(n)) } }
}

fn exact(at: Stamp, zone: &TimeZone) -> String {
    at.timestamp().to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f %:z").to_string()
}

/// A moment, as near as a reader needs it, with the exact one behind it.
pub(super) fn at(at: Stamp, ctx: &Ctx) -> Markup {
    html! { time datetime=(at.to_string()) title=(exact(at, &ctx.zone)) { (moment(at, ctx.now, &ctx.zone)) } }
}

/// How long ago a moment was, with the exact one behind it.
pub(super) fn ago(at: Stamp, ctx: &Ctx) -> Markup {
    let span = ctx.now.since(at);
    html! {
        time datetime=(at.to_string()) title=(exact(at, &ctx.zone)) {
            @if span < Duration::from_secs(2) { "just now" } @else { (about(span)) " ago" }
        }
    }
}

/// When something is to come, with the exact moment behind it.
pub(super) fn coming(at: Stamp, ctx: &Ctx) -> Markup {
    html! {
        time datetime=(at.to_string()) title=(exact(at, &ctx.zone)) {
            @if at.since(ctx.now) < Duration::from_secs(1) { "now" } @else { (ahead(at, ctx.now, &ctx.zone)) }
        }
    }
}

/// The class of a standing's colour.
pub(super) fn tone(standing: Standing) -> &'static str {
    match standing {
        Standing::Running => "run",
        Standing::Succeeded => "good",
        Standing::SomeFailed => "warn",
        Standing::Paused => "wait",
        Standing::Failed => "bad",
        Standing::Interrupted => "off",
    }
}

/// The class of the colour of what a record became.
pub(super) fn became(became: Became) -> &'static str {
    match became {
        Became::Mapped => "good",
        Became::Skipped | Became::Deleted => "off",
        Became::Failed => "warn",
    }
}

/// How something stands: a shape, a word and a colour.
pub(super) fn badge(tone: &str, word: &str) -> Markup {
    html! { span class={ "badge " (tone) } { (word) } }
}

/// How a run stands.
pub(super) fn standing(run: &Run) -> Markup {
    badge(tone(run.standing()), run.standing().label())
}

/// A code: a link where it is explained.
pub(super) fn code(code: &str) -> Markup {
    match error::explain(code) {
        Some(known) => html! {
            a.err href={ "/explain/" (known.code) } title=(known.title) { (known.code) }
        },
        None => html! { span.err { (text(code)) } },
    }
}

/// What stands where nothing is yet: what that means, and what to do.
pub(super) fn empty(what: &str, then: &Markup) -> Markup {
    html! { div.empty { b { (what) } (then) } }
}

/// A form that does something and leads to another page; nothing for those who may only look.
pub(super) fn form(ctx: &Ctx, action: &str, inner: &Markup) -> Markup {
    html! { @if ctx.operates { form method="post" action=(action) { (ctx.csrf()) (inner) } } }
}

/// A button that does something and comes back here; nothing for those who may only look.
pub(super) fn act(ctx: &Ctx, action: &str, label: &str, class: &str) -> Markup {
    html! {
        @if ctx.operates {
            form method="post" action=(action) data-quiet {
                input type="hidden" name="back" value=(ctx.here);
                (ctx.csrf())
                button class={ "btn " (class) } { (label) }
            }
        }
    }
}

/// A bar that is full by `part` of `whole`; the rest is line.
pub(super) fn bar(part: u64, whole: u64, tone: &str, label: &str) -> Markup {
    let width = share(part, whole) * 100.0;
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label=(label) {
            rect.f-line width="100" height="8" {}
            rect class={ "f-" (tone) } width=(format!("{width:.2}")) height="8" {}
        }
    }
}

/// A part of a whole, from 0 to 1.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}

/// How a running import comes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    /// Records a second, since it started.
    pub rate: f64,
    /// Of all records, from 0 to 1, when the org said how many there are.
    pub done: Option<f64>,
    /// How long it will take still, when that can be told.
    pub left: Option<Duration>,
}

/// How a running import comes on at `now`.
pub(super) fn pace(run: &Run, now: Stamp) -> Pace {
    let fetched = run.counts.fetched;
    let took = now.since(run.started).as_secs_f64();
    let rate = if took > 0.0 { fetched as f64 / took } else { 0.0 };
    let expected = run.expected.filter(|expected| *expected > 0);
    let left = expected
        .filter(|_| rate > 0.0)
        .map(|expected| Duration::from_secs_f64(expected.saturating_sub(fetched) as f64 / rate));
    Pace { rate, done: expected.map(|expected| share(fetched, expected)), left }
}

/// How a running import comes on: a bar, the counts, the rate and the time left.
pub(super) fn progress(run: &Run, ctx: &Ctx) -> Markup {
    let Pace { rate, done, left } = pace(run, ctx.now);
    let fetched = grouped(run.counts.fetched);
    let label = match run.expected {
        Some(expected) => format!("{fetched} of {} records", grouped(expected)),
        None => format!("{fetched} records"),
    };
    html! {
        div.progress {
            @if done.is_some() {
                (bar(run.counts.fetched, run.expected.unwrap_or(0), "run", &label))
            }
            span.small.soft {
                (label)
                @if rate >= 1.0 { " · " (grouped(rate as u64)) "/s" }
                @if let Some(left) = left { " · " (about(left)) " left" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::example::run as example;

    #[test]
    fn the_pace_is_what_came_in_the_time() {
        let mut run = example(1, "Contact", None);
        run.counts.fetched = 1_000;
        run.expected = Some(4_000);
        let now = run.started.plus(Duration::from_secs(10));
        let pace = pace(&run, now);
        assert_eq!((pace.rate, pace.done), (100.0, Some(0.25)));
        assert_eq!(pace.left, Some(Duration::from_secs(30)));
    }

    #[test]
    fn nothing_is_told_of_a_run_that_has_not_begun() {
        let mut run = example(1, "Contact", None);
        run.counts.fetched = 0;
        run.expected = None;
        let told = pace(&run, run.started);
        assert_eq!(told, Pace { rate: 0.0, done: None, left: None });
        run.expected = Some(0);
        assert_eq!(pace(&run, run.started.plus(Duration::from_secs(1))).done, None);
    }
}
