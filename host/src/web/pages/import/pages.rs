//! The pages of a run: how large each was and how long it took.

use std::time::Duration;

use maud::{Markup, html};

use super::super::chart::{Column, columns};
use super::super::ctx::Ctx;
use super::super::parts::{at, bad_count, count, text};
use crate::model::{PageNote, Run};
use crate::web::text::{bytes, grouped, took};

/// Columns of the chart; with more pages, several share one.
const COLUMNS: usize = 120;
/// Pages in the table.
const LISTED: usize = 50;

fn micros(n: u64) -> String {
    took(Duration::from_micros(n))
}

/// Pages that share a column.
fn bundles(pages: &[PageNote]) -> Vec<&[PageNote]> {
    pages.chunks(pages.len().div_ceil(COLUMNS).max(1)).collect()
}

fn column(pages: &[PageNote]) -> Column {
    let sum = |of: fn(&PageNote) -> u64| pages.iter().map(of).sum::<u64>();
    let n = pages.len() as u64;
    let (fetch, map, commit) = (
        sum(|page| page.timing.fetch) / n,
        sum(|page| page.timing.map) / n,
        sum(|page| page.timing.commit) / n,
    );
    let which = match pages {
        [page] => format!("page {}", page.page),
        [first, .., last] => format!("pages {} to {}, each", first.page, last.page),
        [] => String::new(),
    };
    let title = format!(
        "{which}: {} records, {}; fetch {}, map {}, commit {}",
        grouped(sum(|page| page.counts.fetched) / n),
        bytes(sum(|page| page.bytes) / n),
        micros(fetch),
        micros(map),
        micros(commit),
    );
    Column { title, parts: vec![("1", fetch), ("2", map), ("3", commit)] }
}

/// The section; nothing when there are no pages.
pub(super) fn section(run: &Run, pages: &[PageNote], ctx: &Ctx) -> Markup {
    if pages.is_empty() {
        return html! {};
    }
    let bundles = bundles(pages);
    let drawn: Vec<Column> = bundles.iter().map(|pages| column(pages)).collect();
    let most =
        drawn.iter().map(|column| column.parts.iter().map(|(_, n)| n).sum()).max().unwrap_or(0);
    let total: u64 = pages.iter().map(|page| page.bytes).sum();
    html! {
        section.card aria-labelledby="pages" {
            header {
                h2 #pages { (grouped(run.pages)) @if run.pages == 1 { " page" } @else { " pages" } }
                p { (bytes(total)) " unpacked" @if (pages.len() as u64) < run.pages { " in the first " (grouped(pages.len() as u64)) } }
            }
            div.in.stack {
                @if pages.len() > 1 {
                    figure {
                        (columns(&drawn, "time per page: fetch, map and commit; the table below has the numbers", &micros(most), &[]))
                        ul.key aria-hidden="true" {
                            @for (class, name) in [("1", "fetch"), ("2", "map"), ("3", "commit")] {
                                li { svg viewBox="0 0 10 10" { rect class={ "f-" (class) } width="10" height="10" rx="2" {} } (name) }
                            }
                        }
                    }
                }
            }
            (table(run, pages, ctx))
        }
    }
}

fn table(run: &Run, pages: &[PageNote], ctx: &Ctx) -> Markup {
    let listed = &pages[..pages.len().min(LISTED)];
    html! {
        div.scroll tabindex="0" role="region" aria-label="Pages" {
            table.fold {
                thead {
                    tr {
                        th scope="col" .n { "Page" } th scope="col" { "Committed" } th scope="col" .n { "Size" }
                        @for head in ["Records", "Mapped", "Unchanged", "Skipped", "Failed", "Deleted", "Fetch", "Map", "Commit"] {
                            th scope="col" .n { (head) }
                        }
                        th scope="col" { "Request" }
                    }
                }
                tbody {
                    @for page in listed {
                        @let c = &page.counts;
                        tr id={ "page-" (page.page) } {
                            td.n data-label="Page" { (page.page) }
                            td.nowrap data-label="Committed" { (at(page.at, ctx)) }
                            td.n data-label="Size" { (bytes(page.bytes)) }
                            (count("Records", c.fetched)) (count("Mapped", c.mapped)) (count("Unchanged", c.unchanged))
                            (count("Skipped", c.skipped)) (bad_count("Failed", c.failed)) (count("Deleted", c.deleted))
                            td.n data-label="Fetch" { (micros(page.timing.fetch)) }
                            td.n data-label="Map" { (micros(page.timing.map)) }
                            td.n data-label="Commit" { (micros(page.timing.commit)) }
                            td.mono.soft.wide data-label="Request" { @if let Some(id) = &page.request_id { (text(id)) } @else { "-" } }
                        }
                    }
                }
            }
        }
        @if run.pages > listed.len() as u64 {
            footer.pager {
                span { (grouped(listed.len() as u64)) " of " (grouped(run.pages)) " pages" }
                a href={ "/api/v1/runs/" (run.id) "/pages?limit=1000" } { "All, as JSON" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counts, Stamp, Timing};

    #[test]
    fn many_pages_share_columns() {
        let page = |page| PageNote {
            page,
            at: Stamp(0),
            bytes: 10,
            counts: Counts::default(),
            timing: Timing { fetch: page, map: 1, commit: 2 },
            request_id: None,
        };
        let pages: Vec<PageNote> = (0..1000).map(page).collect();
        let bundles = bundles(&pages);
        assert!(bundles.len() <= COLUMNS);
        assert_eq!(bundles.iter().map(|pages| pages.len()).sum::<usize>(), 1000);
        assert_eq!(column(&pages[..3]).parts, [("1", 1), ("2", 1), ("3", 2)]);
        assert!(column(&pages[..3]).title.starts_with("pages 0 to 2, each: 0 records"));
    }
}
