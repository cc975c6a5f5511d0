//! Charts as SVG, drawn on the host: no script, no inline style.

use maud::{Markup, html};

/// A part of a whole: its class of colour, its name and its size.
pub(super) struct Part {
    /// After `f-`.
    pub class: &'static str,
    pub name: &'static str,
    pub value: u64,
    /// The size as a reader reads it.
    pub shown: String,
}

/// Parts of a whole as one bar, with a key below; empty parts are left out of the bar.
pub(super) fn whole(parts: &[Part], label: &str) -> Markup {
    let total: u64 = parts.iter().map(|part| part.value).sum();
    let words: Vec<String> =
        parts.iter().map(|part| format!("{} {}", part.name, part.shown)).collect();
    let mut x = 0.0;
    let places: Vec<(&Part, f64, f64)> = parts
        .iter()
        .filter(|part| part.value > 0)
        .map(|part| {
            let (from, width) = (x, part.value as f64 / total as f64 * 100.0);
            x += width;
            (part, from, width)
        })
        .collect();
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={ (label) ": " (words.join(", ")) } {
            rect.f-line width="100" height="8" {}
            @for (part, from, width) in places {
                rect class={ "f-" (part.class) } x=(format!("{from:.3}")) width=(format!("{width:.3}")) height="8" {
                    title { (part.name) ": " (part.shown) }
                }
            }
        }
        ul.key {
            @for part in parts {
                li {
                    svg viewBox="0 0 10 10" aria-hidden="true" { rect class={ "f-" (part.class) } width="10" height="10" rx="2" {} }
                    (part.name) " " (part.shown)
                }
            }
        }
    }
}

/// One column of a chart: what it stands for, and its parts from the bottom up.
pub(super) struct Column {
    pub title: String,
    /// Where it leads, if anywhere.
    pub parts: Vec<(&'static str, u64)>,
}

const WIDTH: f64 = 720.0;
const TALL: f64 = 120.0;
const TOP: f64 = 1.0;

/// A line across all columns: its class, its height and what it is.
pub(super) struct Line {
    pub class: &'static str,
    pub value: u64,
    pub title: String,
}

/// A line that is so many times as high as the highest column is left out: it would press all columns flat.
const FAR: u64 = 4;

/// Columns beside each other, all to one scale; `most` names the highest. Lines lie across them where they are in reach.
pub(super) fn columns(columns: &[Column], label: &str, most: &str, lines: &[Line]) -> Markup {
    let of = |column: &Column| column.parts.iter().map(|(_, value)| value).sum::<u64>();
    let tallest = columns.iter().map(of).max().unwrap_or(0).max(1);
    let lines: Vec<&Line> = lines.iter().filter(|line| line.within(tallest)).collect();
    let highest = lines.iter().map(|line| line.value).fold(tallest, u64::max);
    // A few columns do not become walls.
    let step = (WIDTH / columns.len().max(1) as f64).min(72.0);
    let bar = (step * 0.78).max(0.6);
    html! {
        p.small.soft { (most) }
        svg.columns viewBox="0 0 720 122" preserveAspectRatio="none" role="img" aria-label=(label) {
            line.grid x1="0" y1=(TOP) x2="720" y2=(TOP) {}
            line.grid x1="0" y1=(TOP + TALL) x2="720" y2=(TOP + TALL) {}
            @for (i, column) in columns.iter().enumerate() {
                g {
                    title { (column.title) }
                    @for (class, from, height) in stacked(&column.parts, highest) {
                        rect class={ "f-" (class) } x=(format!("{:.2}", i as f64 * step)) width=(format!("{bar:.2}"))
                            y=(format!("{:.2}", TOP + TALL - from - height)) height=(format!("{height:.2}")) {}
                    }
                }
            }
            @for line in lines {
                @let y = TOP + TALL - line.value as f64 / highest as f64 * TALL;
                line class={ "limit " (line.class) } x1="0" x2="720" y1=(format!("{y:.2}")) y2=(format!("{y:.2}")) { title { (line.title) } }
            }
        }
    }
}

impl Line {
    /// Whether it is drawn beside columns of which the highest has this height.
    pub(super) fn within(&self, tallest: u64) -> bool {
        self.value > 0 && self.value <= tallest.saturating_mul(FAR)
    }
}

/// Where each part of a column begins, and how high it is.
fn stacked<'a>(parts: &'a [(&'static str, u64)], highest: u64) -> Vec<(&'a str, f64, f64)> {
    let mut from = 0.0;
    let mut places = Vec::with_capacity(parts.len());
    for (class, value) in parts {
        let height = *value as f64 / highest as f64 * TALL;
        if height > 0.0 {
            places.push((*class, from, height));
        }
        from += height;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_on_each_other() {
        let places = stacked(&[("a", 25), ("b", 0), ("c", 75)], 100);
        assert_eq!(places, [("a", 0.0, 30.0), ("c", 30.0, 90.0)]);
    }

    #[test]
    fn an_empty_whole_is_a_bare_line() {
        let part = Part { class: "good", name: "mapped", value: 0, shown: "0".to_owned() };
        let drawn = whole(&[part], "records").into_string();
        assert!(!drawn.contains("NaN") && drawn.contains("mapped 0"), "{drawn}");
        assert!(!columns(&[], "pages", "0", &[]).into_string().contains("NaN"));
    }
}
