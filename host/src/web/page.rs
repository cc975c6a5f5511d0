//! The Imports page: one HTML document built here, with nothing from elsewhere.

use std::fmt::Write as _;

use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::problem::Problem;
use super::text::{about, ahead, grouped, lasted, moment, outcome, plain, took};
use super::{Shared, api, view};
use crate::model::{Ending, Run, RunId, Stamp};

const TEMPLATE: &str = include_str!("page.html");

#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    before: Option<RunId>,
}

/// The page.
pub(super) async fn imports(
    State(shared): State<Shared>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let live = api::status(&shared).await?;
    let (syncs, runs, limits, org) = api::read(&shared, move |reader| {
        let org = reader.config().org.login.host_str().unwrap_or_default().to_owned();
        Ok((
            reader.syncs(&live)?,
            reader.runs(None, from.before, Some(100))?,
            reader.limits()?,
            org,
        ))
    })
    .await?;
    // A nonce of 128 bits: the page's own style and script run, nothing that a record's text could bring.
    let nonce = format!("{:032x}", rand::random::<u128>());
    let body = body(&syncs, &runs, &limits, Stamp::now(), &TimeZone::system());
    let page = TEMPLATE
        .replace("{{nonce}}", &nonce)
        .replace("{{org}}", &escape(&org))
        .replace("{{body}}", &body);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = Html(page).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// The text as HTML shows it, with nothing that steers.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '{' => out.push_str("&#123;"),
            c => out.push(c),
        }
    }
    out
}

fn number(n: u64) -> String {
    let class = if n == 0 { "n zero" } else { "n" };
    format!("<td class=\"{class}\">{}</td>", grouped(n))
}

fn failed(n: u64) -> String {
    if n == 0 { number(0) } else { format!("<td class=\"n warn\">{}</td>", grouped(n)) }
}

fn tag(run: &Run) -> String {
    let class = match run.ending {
        None => "live",
        Some(Ending::Succeeded) => "good",
        Some(Ending::SucceededWithFailures) => "warn",
        Some(Ending::Paused { .. }) => "wait",
        Some(Ending::Failed { .. } | Ending::Interrupted) => "bad",
    };
    format!("<span class=\"tag {class}\">{}</span>", outcome(run))
}

/// Why a run ended as it did, when that needs words.
fn why(run: &Run, now: Stamp, zone: &TimeZone) -> String {
    match &run.ending {
        Some(Ending::Paused { code, reason, resumes_at }) => {
            let when = resumes_at
                .map_or(String::new(), |at| format!("; goes on {}", ahead(at, now, zone)));
            escape(&format!("{reason}{when} ({code})"))
        }
        Some(Ending::Failed { code, message }) => escape(&format!("{message} ({code})")),
        Some(Ending::Interrupted) => "the host stopped; the next run goes on there".to_owned(),
        Some(Ending::SucceededWithFailures) => {
            let reasons: Vec<String> =
                run.failures.iter().take(3).map(|(code, n)| format!("{n} × {code}")).collect();
            escape(&reasons.join(", "))
        }
        None => run.expected.map_or(String::new(), |total| {
            format!("{} of {}", grouped(run.counts.fetched), grouped(total))
        }),
        Some(Ending::Succeeded) => String::new(),
    }
}

fn body(
    syncs: &view::Syncs,
    runs: &view::Runs,
    limits: &view::Limits,
    now: Stamp,
    zone: &TimeZone,
) -> String {
    let mut out = String::with_capacity(4096 + runs.runs.len() * 512);
    // Writing to a String cannot fail.
    write_body(&mut out, syncs, runs, limits, now, zone).unwrap_or_default();
    out
}

fn write_body(
    out: &mut String,
    syncs: &view::Syncs,
    runs: &view::Runs,
    limits: &view::Limits,
    now: Stamp,
    zone: &TimeZone,
) -> std::fmt::Result {
    out.push_str(
        "<section><h2>Syncs</h2><table><thead><tr><th>sync<th>object<th>plugin<th>schedule\
         <th>state<th>next<th class=\"n\">records<th class=\"n\">outputs</tr></thead><tbody>",
    );
    for sync in &syncs.syncs {
        let state = match (sync.enabled, sync.paused, sync.running, &sync.last) {
            (_, _, Some(_), _) => "<span class=\"tag live\">running</span>".to_owned(),
            (false, ..) => "off".to_owned(),
            (_, true, ..) => "<span class=\"tag wait\">paused by hand</span>".to_owned(),
            (_, _, _, Some(run)) => tag(run),
            _ => "not run yet".to_owned(),
        };
        let next = sync.next.map_or_else(String::new, |at| ahead(at, now, zone));
        write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{state}<td>{next}{}{}</tr>",
            escape(sync.name.as_str()),
            escape(&sync.object),
            escape(&sync.plugin),
            escape(&sync.schedule),
            number(sync.records),
            number(sync.outputs),
        )?;
    }
    out.push_str("</tbody></table></section>");
    out.push_str("<section><h2>API calls</h2><p>");
    match &limits.reading {
        Some(usage) => write!(
            out,
            "The org has spent {} of {} calls in 24 hours (read {} ago). ",
            grouped(usage.used),
            grouped(usage.max),
            about(now.since(usage.at)),
        )?,
        None => out.push_str("The org has not told yet how many calls it has left. "),
    }
    write!(out, "kilofold itself has spent {}.</p></section>", grouped(limits.counted))?;
    out.push_str(
        "<section><h2>Imports</h2><table><thead><tr><th class=\"n\">run<th>sync<th>started\
         <th class=\"n\">took<th class=\"n\">calls<th class=\"n\">fetched<th class=\"n\">mapped\
         <th class=\"n\">unchanged<th class=\"n\">skipped<th class=\"n\">failed<th class=\"n\">deleted\
         <th>outcome<th></tr></thead><tbody>",
    );
    for run in &runs.runs {
        let c = &run.counts;
        write!(
            out,
            "<tr><td class=\"n\"><a href=\"/api/v1/runs/{id}\">{id}</a><td>{}<td>{}<td class=\"n\">{}",
            escape(run.sync.as_str()),
            moment(run.started, now, zone),
            took(lasted(run, now)),
            id = run.id,
        )?;
        for n in [run.calls, c.fetched, c.mapped, c.unchanged, c.skipped] {
            out.push_str(&number(n));
        }
        out.push_str(&failed(c.failed));
        out.push_str(&number(c.deleted));
        write!(out, "<td>{}<td class=\"why\">{}</tr>", tag(run), why(run, now, zone))?;
    }
    out.push_str("</tbody></table>");
    match (runs.runs.is_empty(), runs.next) {
        (true, _) => out.push_str("<p>Nothing has run yet.</p>"),
        (_, Some(next)) => write!(out, "<p><a href=\"/?before={next}\">older imports</a></p>")?,
        _ => {}
    }
    out.push_str("</section>");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_become_markup() {
        let hostile = "<script>alert('1')</script>\"&{{nonce}}\u{202e}";
        let shown = escape(hostile);
        assert!(!shown.contains(['<', '>', '"', '\'', '{']));
        assert!(shown.contains("&lt;script&gt;") && shown.contains("\\u&#123;202e}"));
    }
}
