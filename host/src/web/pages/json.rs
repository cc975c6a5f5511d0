//! JSON as people read it: indented and coloured, every value just as it was written.
//!
//! Nothing is parsed into values and written anew, so no digit of a number is lost and no key changes its place.

use maud::{Markup, PreEscaped, Render, html};

use crate::web::text::plain;

/// The longest text that is shown, in bytes; the API has the whole.
const LONGEST: usize = 64 * 1024;

/// A JSON text, indented.
pub(super) fn json(text: &str) -> Markup {
    let cut = text.len() > LONGEST;
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    html! {
        pre tabindex="0" role="group" aria-label="JSON" { (PreEscaped(indented(&text[..end]))) @if cut { "\n… (" (text.len()) " bytes in all; the API has the whole)" } }
    }
}

/// The text with line breaks and colours; works on any text, JSON or not.
fn indented(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0usize;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '{' | '[' => {
                let close = if c == '{' { '}' } else { ']' };
                let inner = rest[1..].trim_start();
                out.push(c);
                if inner.starts_with(close) {
                    out.push(close);
                    rest = &inner[1..];
                } else {
                    depth += 1;
                    line(&mut out, depth);
                    rest = inner;
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
                rest = &rest[1..];
            }
            ',' => {
                out.push(',');
                line(&mut out, depth);
                rest = rest[1..].trim_start();
            }
            ':' => {
                out.push_str(": ");
                rest = rest[1..].trim_start();
            }
            '"' => {
                let (string, after) = rest.split_at(string_end(rest));
                let class = if after.trim_start().starts_with(':') { "k" } else { "t" };
                span(&mut out, class, string);
                rest = after;
            }
            c if c.is_ascii_whitespace() => rest = &rest[1..],
            _ => {
                let end = rest.find([',', '}', ']', ':', '"', ' ', '\n', '\t', '\r', '{', '[']);
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()).max(c.len_utf8()));
                span(&mut out, "v", word);
                rest = after;
            }
        }
    }
    out
}

/// The bytes of the string that the text begins with, its quotes included.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    // A cut text: the end may lie inside of a character after a backslash.
    text.len()
}

fn line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth.min(40)));
}

fn span(out: &mut String, class: &str, text: &str) {
    out.push_str("<span class=\"");
    out.push_str(class);
    out.push_str("\">");
    plain(text).as_str().render_to(out);
    out.push_str("</span>");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> String {
        let mut out = String::new();
        let mut inside = false;
        for c in indented(text).chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => out.push(c),
                _ => {}
            }
        }
        out.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    }

    #[test]
    fn every_value_stays_as_it_was_written() {
        let text = r#"{"a":1.50,"b":[ ],"c":{"d":[true,null]},"e":"x\",:{"}"#;
        assert_eq!(
            bare(text),
            "{\n  \"a\": 1.50,\n  \"b\": [],\n  \"c\": {\n    \"d\": [\n      true,\n      null\n    ]\n  },\n  \"e\": \"x\\\",:{\"\n}"
        );
    }

    #[test]
    fn a_value_cannot_become_markup() {
        let shown = indented(r#"{"<script>":"</pre><img src=x onerror=alert(1)>","x":<b>}"#);
        assert!(
            !shown.contains("<script") && !shown.contains("<img") && !shown.contains("<b>"),
            "{shown}"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken_and_nothing_but_space_is_lost(text in "[\\[\\]{}:,\"\\\\a-zé 0-9.]{0,60}") {
            let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(kept(&bare(&text)), kept(&plain(&text)));
        }
    }
}
